"""The box "State" of Figure 2."""

from raftwerk.raft.effects import Effects
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import RequestVote
from raftwerk.raft.state import notice
from tests.raft.builder import command, entries, membership_entry, node


def test_new_node_knows_nothing() -> None:
    """current_term and commit_index are initialized to 0 on first boot (Figure 2)."""
    state = node(1).state
    assert (state.current_term, state.voted_for, state.log.last_index) == (0, 0, 0)
    assert (state.commit_index, state.last_applied, state.leader_id) == (0, 0, 0)


def test_membership_in_force_is_the_newest_in_the_log() -> None:
    """Committed or not (thesis 4.1)."""
    grown = Membership((1, 2, 3, 4))
    log = [*entries("1 1"), membership_entry(3, 1, grown), command(4, 1)]
    built = node(1, term=1, log=log, commit=2)
    assert built.state.membership == grown
    assert built.state.memberships == [(2, Membership((1, 2, 3))), (3, grown)]


def test_durable_index_is_that_of_the_disk() -> None:
    leader = node(1, term=3, log="1 3", role="leader", slow_disk=True)
    leader.propose(b"x")
    assert (leader.state.log.last_index, leader.state.durable_index) == (3, 2)


def test_vote_is_durable_when_its_persist_was_answered() -> None:
    voter = node(1, term=2, log="1", slow_disk=True)
    assert voter.state.stable.is_vote_durable
    voter.receive(2, RequestVote(2, 2, 1, 1))
    assert not voter.state.stable.is_vote_durable
    voter.persist()
    assert voter.state.stable.is_vote_durable


def test_notice_says_the_term_and_the_facts() -> None:
    out = Effects()
    notice(node(1, term=7).state, out, "voted", candidate=2)
    assert [(told.event, told.facts) for told in out.notices] == [
        ("voted", {"term": 7, "candidate": 2})
    ]
