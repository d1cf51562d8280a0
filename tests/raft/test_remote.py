"""What a follower asked of the leader, when there is no leader any more, and when no answer comes."""

from raftwerk.raft.effects import Effects, Refusal, Refused
from raftwerk.raft.messages import ForwardCommands, ForwardCommandsReply, ReadIndexReply
from raftwerk.raft.remote import lose_leader, refuse_reads, take_request_id, tick
from raftwerk.raft.types import NOBODY
from tests.raft.builder import Node, node, only


def asking() -> Node:
    """A follower that waits for answers to two proposals and a read."""
    built = node(1, term=3, log="1 3", leader=2)
    built.propose(b"a", request=7)
    built.propose(b"b", request=8)
    built.read(9)
    return built


ALL = [
    Refused(7, Refusal.OUTCOME_UNKNOWN),
    Refused(8, Refusal.OUTCOME_UNKNOWN),
    Refused(9, Refusal.NOT_LEADER),
]


def test_all_is_given_up_with_the_leader() -> None:
    """What was appended nobody can tell; a read may be repeated."""
    built, out = asking(), Effects()
    lose_leader(built.state, out)
    assert out.refused == ALL
    assert built.state.leader_id == NOBODY
    assert not built.state.remote.forwards
    assert not built.state.remote.reads


def test_all_is_given_up_when_the_leader_says_that_it_does_not_lead() -> None:
    """It was started anew, and will answer none of what it was asked before."""
    built = asking()
    asked = only(built.propose(b"c", request=10), ForwardCommands)
    refusal = Refusal.OUTCOME_UNKNOWN
    effects = built.receive(2, ForwardCommandsReply(3, asked.request_id, 0, refusal.value))
    assert effects.refused == [*ALL, Refused(10, refusal)]


def test_reads_are_given_up_alone() -> None:
    built, out = asking(), Effects()
    refuse_reads(built.state, out)
    assert out.refused == ALL[2:]
    assert len(built.state.remote.forwards) == 2


def test_what_is_not_answered_for_an_election_timeout_is_given_up() -> None:
    built, out = asking(), Effects()
    tick(built.state, 999, out)
    assert out.refused == []
    tick(built.state, 1, out)
    assert out.refused == ALL
    assert built.receive(2, ReadIndexReply(3, 3, 2)).reads == []


def test_no_number_is_given_out_twice() -> None:
    built = asking()
    assert len({take_request_id(built.state) for _ in range(3)}) == 3
