"""One node of the model."""

import pytest

from raftwerk.raft.messages import AppendEntries, RequestVote, RequestVoteReply
from raftwerk.raft.roles import Candidate, Follower, Leader, PreCandidate
from raftwerk.sim.checkers import Violation
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Act, Action, Node

VOTE = RequestVoteReply(1, True)


def leader(bounds: Bounds) -> Node:
    node = Node(1, bounds)
    node.act(Action(Act.ELECTION))
    node.act(Action(Act.DURABLE))
    node.act(Action(Act.DELIVER, 0, 2, VOTE))
    assert isinstance(node.state.role, Leader)
    return node


def test_election_begins_without_a_pre_vote_and_waits_for_the_disk() -> None:
    node = Node(1, Bounds())
    assert node.act(Action(Act.ELECTION)).sent == []
    assert isinstance(node.state.role, Candidate)
    sent = node.act(Action(Act.DURABLE)).sent
    assert [(to, type(message)) for to, message in sent] == [(2, RequestVote), (3, RequestVote)]


def test_election_with_a_pre_vote() -> None:
    node = Node(1, Bounds(has_pre_vote=True))
    node.act(Action(Act.ELECTION))
    assert isinstance(node.state.role, PreCandidate)


def test_a_follower_that_hears_its_leader_must_forget_it_first() -> None:
    node = Node(2, Bounds(terms=3, has_pre_vote=True, is_disk_instant=True))
    node.act(Action(Act.DELIVER, 0, 1, AppendEntries(1, 1, 0, 0, [], 0)))
    ask = Action(Act.DELIVER, 0, 3, RequestVote(2, 3, 0, 0))
    assert Act.SILENCE in node.choices()
    assert node.act(ask).sent == []
    node.act(Action(Act.SILENCE))
    assert Act.SILENCE not in node.choices()
    assert node.act(ask).sent == [(3, RequestVoteReply(2, True))]


def test_crash_loses_what_was_not_durable() -> None:
    node = Node(1, Bounds())
    node.act(Action(Act.ELECTION))
    node.act(Action(Act.CRASH))
    assert (node.state.current_term, node.state.voted_for) == (0, 0)
    node.act(Action(Act.ELECTION))
    node.act(Action(Act.DURABLE))
    node.act(Action(Act.CRASH))
    assert (node.state.current_term, node.state.voted_for) == (1, 1)
    assert isinstance(node.state.role, Follower)


def test_disk_that_is_instant_has_nothing_under_way() -> None:
    node = Node(1, Bounds(is_disk_instant=True))
    assert len(node.act(Action(Act.ELECTION)).sent) == 2
    assert not node.pending


def test_leader_steps_down_when_it_may() -> None:
    assert leader(Bounds(has_check_quorum=False)).choices() == [Act.DURABLE, Act.HEARTBEAT]
    node = leader(Bounds())
    node.act(Action(Act.STEP_DOWN))
    assert isinstance(node.state.role, Follower)


def test_heartbeats_leave_no_trace_in_the_state() -> None:
    node = leader(Bounds())
    sent = node.act(Action(Act.HEARTBEAT)).sent
    assert {type(message) for _, message in sent} == {AppendEntries}
    before = repr(node.state)
    assert node.act(Action(Act.HEARTBEAT)).sent == sent
    assert repr(node.state) == before


def test_no_election_beyond_the_last_term() -> None:
    node = Node(1, Bounds(terms=1))
    assert node.choices() == [Act.ELECTION]
    node.act(Action(Act.ELECTION))
    assert node.choices() == [Act.DURABLE]


def test_persists_are_numbered_from_the_oldest_under_way() -> None:
    node = leader(Bounds())
    node.act(Action(Act.PROPOSE, 1))
    node.act(Action(Act.DURABLE))
    assert [persist.ticket for persist in node.pending] == [1]
    assert node.state.stable.in_flight[0][0] == 1


def test_a_read_that_misses_what_was_committed_is_a_violation() -> None:
    node = Node(1, Bounds(nodes=1, is_disk_instant=True))
    node.act(Action(Act.ELECTION))
    node.act(Action(Act.READ, 1))
    with pytest.raises(Violation, match="Linearizable reads"):
        node.act(Action(Act.READ, 2))
