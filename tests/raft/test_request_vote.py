"""The box "RequestVote RPC" of Figure 2, and the pre-vote before it (thesis 9.6): both ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import (
    AppendEntries,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftwerk.raft.request_vote import is_up_to_date
from raftwerk.raft.types import NodeId, Term
from tests.raft.builder import node, only, receivers, sent

positions = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(positions, positions)
def test_up_to_date_compares_the_last_term_and_then_the_length(
    candidates: tuple[int, int], own: tuple[int, int]
) -> None:
    """Sentence by sentence as in section 5.4.1."""
    (index, term), (own_index, own_term) = candidates, own
    if term != own_term:
        expected = term > own_term
    else:
        expected = index >= own_index
    assert is_up_to_date(index, term, own_index, own_term) == expected


# --- the vote: receiver


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (RequestVote(4, 2, 3, 2), True),
        (RequestVote(4, 2, 1, 3), True),
        (RequestVote(4, 2, 2, 2), False),
        (RequestVote(4, 2, 9, 1), False),
    ],
    ids=["same-log", "later-term", "shorter", "older-term-though-longer"],
)
def test_vote_goes_to_a_log_that_is_up_to_date(asked: RequestVote, granted: bool) -> None:
    effects = node(1, term=3, log="1 2 2").receive(2, asked)
    assert only(effects, RequestVoteReply, to=2) == RequestVoteReply(4, granted)


@pytest.mark.parametrize(
    ("voted_for", "granted"), [(0, True), (2, True), (3, False)], ids=["nobody", "it", "other"]
)
def test_each_term_has_one_vote(voted_for: NodeId, granted: bool) -> None:
    """A candidate that lost the reply asks again and is answered alike."""
    voter = node(1, term=3, log="1", voted_for=voted_for)
    effects = voter.receive(2, RequestVote(3, 2, 1, 1))
    assert only(effects, RequestVoteReply).vote_granted is granted
    assert (effects.persist is not None) == (voted_for == 0), "a repeated vote is durable already"


def test_stale_candidate_is_told_the_new_term() -> None:
    effects = node(1, term=3, log="1").receive(2, RequestVote(2, 2, 5, 2))
    assert effects.messages == [(2, RequestVoteReply(3, False))]


def test_refused_candidate_still_brings_its_term() -> None:
    voter = node(1, term=3, log="1 3")
    voter.receive(2, RequestVote(9, 2, 1, 1))
    assert (voter.state.current_term, voter.state.voted_for) == (9, 0)


def test_vote_starts_the_wait_anew() -> None:
    voter = node(1, term=3, log="1")
    voter.tick(200)
    voter.receive(2, RequestVote(3, 2, 1, 1))
    assert voter.state.role.elapsed_ms == 0


def test_refusal_does_not_start_the_wait_anew() -> None:
    """Or a candidate with an old log could keep everybody from electing a leader."""
    voter = node(1, term=3, log="1 3")
    voter.tick(200)
    voter.receive(2, RequestVote(3, 2, 1, 1))
    assert voter.state.role.elapsed_ms == 200


def test_vote_request_in_the_own_term_makes_a_pre_candidate_a_voter() -> None:
    asking = node(1, term=3, log="1", role="pre-candidate")
    asking.receive(2, RequestVote(3, 2, 1, 1))
    assert (asking.role, asking.state.voted_for) == ("Follower", 2)


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_live_leader_is_not_unseated(role: str) -> None:
    """A request within the minimum election timeout of hearing a leader changes neither term nor vote (thesis 4.2.3)."""
    built = node(1, term=3, log="1 3", role=role, leader=2 if role == "follower" else 0)
    built.tick(90)
    effects = built.receive(3, RequestVote(8, 3, 5, 7))
    assert not sent(effects, RequestVoteReply)
    assert (built.state.current_term, built.role.lower()) == (3, role)


def test_silent_leader_is_given_up() -> None:
    follower = node(1, term=3, log="1 3", leader=2, seed=3)
    follower.tick(1000)
    assert follower.role == "Follower"
    follower.receive(3, RequestVote(4, 3, 2, 3))
    assert follower.state.voted_for == 3


def test_transferred_leadership_may_unseat_a_live_leader() -> None:
    leader = node(1, term=3, log="1 3", role="leader")
    effects = leader.receive(2, RequestVote(4, 2, 2, 3, is_transfer=True))
    assert only(effects, RequestVoteReply) == RequestVoteReply(4, True)
    assert leader.role == "Follower"


# --- the vote: candidate


def test_candidate_asks_all_other_voters() -> None:
    candidate = node(1, term=3, log="1 2", role="pre-candidate", voters=(1, 2, 3), learners=(4,))
    effects = candidate.receive(2, PreVoteReply(3, 4, True))
    assert receivers(effects, RequestVote) == [2, 3]
    assert sent(effects, RequestVote)[0] == RequestVote(4, 1, 2, 2)


@pytest.mark.parametrize(
    ("reply", "role"),
    [
        (RequestVoteReply(3, True), "Leader"),
        (RequestVoteReply(3, False), "Candidate"),
        (RequestVoteReply(2, True), "Candidate"),
        (RequestVoteReply(4, False), "Follower"),
    ],
    ids=["granted", "refused", "of-an-older-candidacy", "of-a-newer-term"],
)
def test_vote_counts_in_its_own_term(reply: RequestVoteReply, role: str) -> None:
    candidate = node(1, term=3, log="1", role="candidate")
    candidate.receive(2, reply)
    assert candidate.role == role


def test_vote_of_one_node_counts_once() -> None:
    candidate = node(1, term=3, log="1", role="candidate", voters=(1, 2, 3, 4, 5))
    candidate.receive(2, RequestVoteReply(3, True), RequestVoteReply(3, True))
    assert candidate.role == "Candidate"


@pytest.mark.parametrize("voter", [4, 9], ids=["learner", "stranger"])
def test_vote_of_a_node_without_a_vote_does_not_count(voter: NodeId) -> None:
    candidate = node(1, term=3, log="1", role="candidate", learners=(4,))
    candidate.receive(voter, RequestVoteReply(3, True))
    assert candidate.role == "Candidate"


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "leader"])
def test_late_vote_changes_nothing(role: str) -> None:
    built = node(1, term=3, log="1 3", role=role)
    assert built.receive(2, RequestVoteReply(3, True)) == Effects()
    assert built.role.lower() == role.replace("-", "")


def test_joint_configuration_elects_with_both_majorities() -> None:
    candidate = node(1, term=3, log="1", role="candidate", voters=(1, 2, 3), outgoing=(1, 4, 5))
    candidate.receive(2, RequestVoteReply(3, True))
    assert candidate.role == "Candidate"
    candidate.receive(5, RequestVoteReply(3, True))
    assert candidate.role == "Leader"


def test_new_leader_tells_everybody_at_once() -> None:
    candidate = node(1, term=3, log="1", role="candidate", learners=(4,))
    effects = candidate.receive(2, RequestVoteReply(3, True))
    assert receivers(effects, AppendEntries) == [2, 3, 4]
    assert sent(effects, AppendEntries, to=2)[0].entries == [], "answered without a disk"


# --- the pre-vote: receiver


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (PreVote(3, 4, 2, 3, 2), True),
        (PreVote(2, 3, 2, 3, 2), False),
        (PreVote(3, 4, 2, 2, 2), False),
        (PreVote(9, 10, 2, 3, 2), True),
        (PreVote(3, 4, 2, 9, 1), False),
    ],
    ids=["next-term", "term-not-new", "shorter-log", "far-ahead", "older-log"],
)
def test_pre_vote_answers_for_a_vote_and_changes_nothing(asked: PreVote, granted: bool) -> None:
    voter = node(1, term=3, log="1 2 2", voted_for=3)
    role = voter.state.role
    effects = voter.receive(2, asked)
    assert effects == Effects(messages=[(2, PreVoteReply(3, asked.next_term, granted))])
    assert (voter.state.current_term, voter.state.voted_for) == (3, 3)
    assert voter.state.role is role


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_pre_vote_is_refused_while_a_leader_is_heard(role: str) -> None:
    built = node(1, term=3, log="1 3", role=role, leader=2 if role == "follower" else 0)
    effects = built.receive(3, PreVote(7, 8, 3, 9, 7))
    assert not only(effects, PreVoteReply).vote_granted


@pytest.mark.parametrize("role", ["pre-candidate", "candidate"])
def test_pre_vote_is_granted_by_those_who_look_for_a_leader_themselves(role: str) -> None:
    built = node(1, term=3, log="1", role=role)
    effects = built.receive(3, PreVote(3, 4, 3, 1, 1))
    assert only(effects, PreVoteReply).vote_granted


# --- the pre-vote: candidate


def test_pre_candidate_asks_all_other_voters_without_a_new_term() -> None:
    follower = node(1, term=3, log="1 2", learners=(4,))
    effects = follower.time_out()
    assert receivers(effects, PreVote) == [2, 3]
    assert sent(effects, PreVote)[0] == PreVote(3, 4, 1, 2, 2)
    assert (follower.state.current_term, effects.persist) == (3, None)


@pytest.mark.parametrize(
    ("replies", "role"),
    [
        ([(2, PreVoteReply(3, 4, True)), (3, PreVoteReply(3, 4, True))], "Candidate"),
        ([(2, PreVoteReply(3, 4, True)), (2, PreVoteReply(3, 4, True))], "PreCandidate"),
        ([(2, PreVoteReply(3, 3, True)), (3, PreVoteReply(3, 3, True))], "PreCandidate"),
        ([(2, PreVoteReply(3, 4, False)), (3, PreVoteReply(3, 4, False))], "PreCandidate"),
        ([(node_id, PreVoteReply(3, 4, False)) for node_id in (2, 3, 4)], "Follower"),
        ([(2, PreVoteReply(5, 4, False))], "Follower"),
    ],
    ids=["majority", "one-twice", "of-an-older-attempt", "two-against", "lost", "newer-term"],
)
def test_pre_vote_is_won_lost_or_open(
    replies: list[tuple[NodeId, PreVoteReply]], role: str
) -> None:
    asking = node(1, term=3, log="1", role="pre-candidate", voters=(1, 2, 3, 4, 5))
    for sender, reply in replies:
        asking.receive(sender, reply)
    assert asking.role == role


def test_refused_pre_vote_brings_the_newer_term() -> None:
    asking = node(1, term=3, log="1", role="pre-candidate")
    asking.receive(2, PreVoteReply(7, 4, False))
    assert asking.state.current_term == 7


@pytest.mark.parametrize("role", ["follower", "candidate", "leader"])
def test_late_pre_vote_changes_nothing(role: str) -> None:
    built = node(1, term=3, log="1 3", role=role)
    assert built.receive(2, PreVoteReply(3, 4, True)) == Effects()
    assert built.role.lower() == role


@pytest.mark.parametrize("term", [2, 3, 4])
def test_single_voter_needs_nobodys_answer(term: Term) -> None:
    alone = node(1, term=term, log="1", voters=(1,), learners=(2,))
    alone.time_out()
    assert (alone.role, alone.state.current_term) == ("Leader", term + 1)


def test_learner_never_asks_for_votes() -> None:
    learner = node(4, term=3, log="1", learners=(4,), config=Config())
    assert learner.time_out() == Effects()
    assert learner.receive(1, TimeoutNow(3, 1)) == Effects()
    assert learner.role == "Follower"
