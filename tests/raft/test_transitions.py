"""The transitions between roles (Figure 4): each leaves a whole new role behind."""

import pytest

from raftwerk.raft.effects import Effects, Refusal, Refused
from raftwerk.raft.roles import Leader
from raftwerk.raft.transitions import (
    become_candidate,
    become_follower,
    become_leader,
    become_pre_candidate,
    draw_election_timeout_ms,
)
from raftwerk.raft.types import NOBODY, EntryKind, Term
from tests.raft.builder import Node, node

ROLES = ["follower", "pre-candidate", "candidate", "leader"]


def built(role: str, term: Term = 3) -> Node:
    return node(1, term=term, log="1 3", role=role)


@pytest.mark.parametrize("role", ROLES)
def test_new_term_forgets_the_vote(role: str) -> None:
    """voted_for is the candidate that received the vote in the current term (Figure 2)."""
    one = built(role)
    become_follower(one.state, 4, 2, Effects())
    assert (one.role, one.state.current_term) == ("Follower", 4)
    assert (one.state.voted_for, one.state.leader_id) == (NOBODY, 2)
    assert one.state.stable.is_hard_state_changed


@pytest.mark.parametrize("role", ["candidate", "leader"])
def test_same_term_keeps_the_vote(role: str) -> None:
    """Or there would be two votes in one term."""
    one = built(role)
    become_follower(one.state, 3, NOBODY, Effects())
    assert (one.role, one.state.voted_for) == ("Follower", 1)
    assert not one.state.stable.is_hard_state_changed


@pytest.mark.parametrize("role", ROLES)
def test_terms_never_fall(role: str) -> None:
    with pytest.raises(AssertionError):
        become_follower(built(role).state, 2, 2, Effects())


def test_leader_that_steps_down_answers_what_waits_and_closes_what_is_open() -> None:
    leader = built("leader")
    leader.read(request=7)
    out = Effects()
    become_follower(leader.state, 4, NOBODY, out)
    assert out.refused == [Refused(7, Refusal.NOT_LEADER)]
    assert out.close_snapshots == [2, 3]
    assert [told.event for told in out.notices] == ["stepped down"]


def test_follower_says_whom_it_follows_once() -> None:
    one, out = built("follower"), Effects()
    become_follower(one.state, 3, 2, out)
    become_follower(one.state, 3, 2, out)
    assert [(told.event, told.facts["leader"]) for told in out.notices] == [("following", 2)]


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_candidate_begins_a_new_term_with_its_own_vote(role: str) -> None:
    """And counts it when it is durable."""
    one = built(role)
    candidate = become_candidate(one.state, Effects())
    assert (one.state.current_term, one.state.voted_for) == (4, 1)
    assert candidate.votes == {}
    assert one.state.leader_id == NOBODY


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_pre_candidate_keeps_the_term_and_the_vote(role: str) -> None:
    one = built(role)
    voted_for = one.state.voted_for
    candidate = become_pre_candidate(one.state, Effects())
    assert (one.state.current_term, one.state.voted_for) == (3, voted_for)
    assert candidate.votes == {1: True}
    assert not one.state.stable.is_hard_state_changed


@pytest.mark.parametrize("become", [become_candidate, become_pre_candidate])
def test_leader_does_not_run_against_itself(become: object) -> None:
    with pytest.raises(AssertionError):
        become(built("leader").state, Effects())  # type: ignore[operator]


@pytest.mark.parametrize("become", [become_candidate, become_pre_candidate])
def test_learner_does_not_run(become: object) -> None:
    with pytest.raises(AssertionError):
        become(node(4, term=3, learners=(4,)).state, Effects())  # type: ignore[operator]


def test_leader_begins_its_term_with_an_entry_that_does_nothing() -> None:
    """A blank no-op entry at the start of its term (section 8)."""
    one = node(1, term=3, log="1 2", role="candidate")
    leader = become_leader(one.state, Effects())
    assert one.entries[-1] == (3, 3, EntryKind.NO_OP, b"")
    assert leader.term_start_index == 3
    assert one.state.leader_id == 1


def test_leader_begins_with_next_index_behind_its_log_and_no_match() -> None:
    """next_index is initialized to leader last log index + 1, match_index to 0 (Figure 2)."""
    one = node(1, term=3, log="1 2", role="candidate", learners=(4,))
    leader = become_leader(one.state, Effects())
    progress = {
        peer: (known.next_index, known.match_index) for peer, known in leader.progress.items()
    }
    assert progress == {2: (3, 0), 3: (3, 0), 4: (3, 0)}


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "leader"])
def test_only_a_candidate_becomes_leader(role: str) -> None:
    with pytest.raises(AssertionError):
        become_leader(built(role).state, Effects())


def test_timeouts_of_one_seed_are_the_same() -> None:
    """A run is repeated by its seed."""
    one, other = (node(1, seed=5).state for _ in range(2))
    assert [draw_election_timeout_ms(one) for _ in range(9)] == [
        draw_election_timeout_ms(other) for _ in range(9)
    ]


def test_leader_state_is_gone_with_the_role() -> None:
    leader = built("leader")
    assert isinstance(leader.state.role, Leader)
    become_follower(leader.state, 3, 2, Effects())
    assert not hasattr(leader.state.role, "progress")
