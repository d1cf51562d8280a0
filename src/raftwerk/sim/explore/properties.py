"""The properties of Figure 3 in one state of the model, by the checkers of the simulator.

The checkers remember what they have seen of one run. A state of the model is reached by many runs, so whatever of the past
the properties need is part of the state: the network, which forgets no message and so no vote, and a `History`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from raftwerk.raft.messages import Message
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import Entry, EntryKind, NodeId, Term
from raftwerk.sim.checkers import is_quorum, require
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.durability import Durability, Removal
from raftwerk.sim.checkers.election_safety import ElectionSafety
from raftwerk.sim.checkers.log_matching import LogMatching
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.digest import Renaming, freeze
from raftwerk.sim.explore.node import Node


class History(NamedTuple):
    """committed: every entry that was ever committed, from index 1, and the term of the leader that did it first.

    leaders: (term, node) of everybody who ever led, by term.
    """

    committed: tuple[tuple[Entry, Term], ...] = ()
    leaders: tuple[tuple[Term, NodeId], ...] = ()

    def frozen(self, renaming: Renaming) -> object:
        """For a digest."""
        leaders = [(term, renaming[node_id]) for term, node_id in self.leaders]
        return freeze(self.committed, renaming), leaders

    @staticmethod
    def at_start(bounds: Bounds) -> "History":
        """That of the state in which an exploration begins."""
        terms = enumerate(bounds.start_committed, start=1)
        return History(
            tuple(
                (Entry(index, term, EntryKind.NO_OP, b""), bounds.start_term)
                for index, term in terms
            )
        )


class Properties:
    """Each method raises Violation when something does not hold."""

    def __init__(self, bounds: Bounds) -> None:
        self._membership = bounds.membership

    def committed_by(self, nodes: Sequence[Node], actor: NodeId, history: History) -> History:
        """The actor's commit_index is beyond all that was committed before: what it commits is on a quorum of disks."""
        committed = self._committed(nodes, history)
        state = nodes[actor - 1].state
        new = [(entry, state.current_term) for entry in committed.on_commit(state)]
        commands = [entry.command for entry in committed.entries if entry.kind is EntryKind.COMMAND]
        require(
            len(set(commands)) == len(commands),
            "Exactly once",
            f"node {actor} commits a command again: {commands}",
        )
        return history._replace(committed=(*history.committed, *new))

    def elected(
        self, actor: Node, history: History, sent: Iterable[tuple[NodeId, NodeId, Message]]
    ) -> History:
        """The actor leads since now. sent: (sender, receiver, message), at least all votes."""
        elections = ElectionSafety()
        elections.leaders = dict(history.leaders)
        for sender, to, message in sent:
            elections.on_send(sender, to, message)
        term = actor.state.current_term
        if isinstance(actor.state.role, Leader):
            elections.on_leader(actor.node_id, term, self._membership)
        return history._replace(leaders=tuple(sorted(elections.leaders.items())))

    def removed(
        self,
        nodes: Sequence[Node],
        actor: NodeId,
        history: History,
        gone: Sequence[Removal],
    ) -> None:
        """A node took entries from its log on purpose: none of what was committed."""
        durability = Durability()
        committed = self._committed(nodes, history, durability)
        assert durability.on_removed == committed.on_removed
        for removal in gone:
            committed.on_removed(actor, removal)

    def check(self, nodes: Sequence[Node], history: History) -> None:
        """What concerns several nodes, or a node and the past."""
        durability = Durability()
        committed = self._committed(nodes, history, durability)
        newest_term = history.leaders[-1][0] if history.leaders else 0
        matching = LogMatching()
        for node in nodes:
            state, log = node.state, node.state.log
            matching.on_entries(node.node_id, log.slice(1, log.last_index + 1), 0)
            matching.on_entries(node.node_id, node.disk.entries, 0)
            committed.on_commit(state)
            if isinstance(state.role, Leader):
                committed.on_leader(state)
                if state.current_term == newest_term:
                    committed.on_step_of_leader(state, state.role)
        self._check_quorums(durability, history)

    def _check_quorums(self, durability: Durability, history: History) -> None:
        for entry, _ in history.committed:
            holders = durability.holders(entry.index, entry.term)
            require(
                is_quorum(self._membership, holders),
                "Committed on a quorum",
                f"{entry} was committed, and is on the disks of {sorted(holders)} now",
            )

    def _committed(
        self, nodes: Sequence[Node], history: History, durability: Durability | None = None
    ) -> Committed:
        durability = durability or Durability()
        durability.logs = {node.node_id: node.disk.durable for node in nodes}
        durability.waiting = {node.node_id: node.pending for node in nodes}
        committed = Committed(self._membership, durability)
        committed.entries = [entry for entry, _ in history.committed]
        committed.terms = [term for _, term in history.committed]
        return committed
