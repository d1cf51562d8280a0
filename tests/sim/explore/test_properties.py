"""Properties of several nodes."""

import pytest

from raftwerk.raft.messages import RequestVote, RequestVoteReply
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.durability import Removal
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Act, Action, Node
from raftwerk.sim.explore.properties import History, Properties

BOUNDS = Bounds(terms=3, is_disk_instant=True, start="1 2 / 1 2 / 1")
COMMITTED = tuple((Entry(index, index, EntryKind.NO_OP, b""), index) for index in (1, 2))


def nodes() -> list[Node]:
    return [Node(node_id, BOUNDS) for node_id in (1, 2, 3)]


def lead(node: Node, voter: int) -> None:
    node.act(Action(Act.ELECTION))
    node.act(Action(Act.DELIVER, 0, voter, RequestVoteReply(3, True)))


def test_what_is_committed_stays_on_a_quorum() -> None:
    properties = Properties(BOUNDS)
    properties.check(nodes(), History(COMMITTED))
    longer = (*COMMITTED, (Entry(3, 2, EntryKind.NO_OP, b""), 2))
    with pytest.raises(Violation, match="Committed on a quorum"):
        properties.check(nodes(), History(longer))


def test_a_leader_without_a_committed_entry() -> None:
    all_nodes = nodes()
    lead(all_nodes[2], 2)
    with pytest.raises(Violation, match="Leader Completeness"):
        Properties(BOUNDS).check(all_nodes, History(COMMITTED, ((3, 3),)))


def test_an_election_enters_the_history() -> None:
    all_nodes = nodes()
    lead(all_nodes[0], 2)
    votes = [(1, 2, RequestVote(3, 1, 2, 2)), (2, 1, RequestVoteReply(3, True))]
    properties = Properties(BOUNDS)
    assert properties.elected(all_nodes[0], History(), votes).leaders == ((3, 1),)
    with pytest.raises(Violation, match="Election Safety"):
        properties.elected(all_nodes[0], History((), ((3, 2),)), votes)
    with pytest.raises(Violation, match="Elected by a majority"):
        properties.elected(all_nodes[0], History(), [])


def test_a_disk_that_removes_what_is_committed() -> None:
    properties = Properties(BOUNDS)
    committed_in = COMMITTED[1][1]
    properties.removed(nodes(), 3, History(COMMITTED), [Removal(2, 1, committed_in)])
    properties.removed(nodes(), 3, History(COMMITTED), [Removal(2, 2, committed_in - 1)])
    with pytest.raises(Violation, match="node 3 removed"):
        properties.removed(nodes(), 3, History(COMMITTED), [Removal(2, 2, committed_in)])
