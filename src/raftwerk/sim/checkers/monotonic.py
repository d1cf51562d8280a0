"""What never goes back: a node's term over restarts, its commit_index and last_applied within one life."""

from raftwerk.raft.state import State
from raftwerk.raft.types import NodeId
from raftwerk.sim.checkers import Violation


class Monotonic:
    """The last numbers seen of each node."""

    def __init__(self) -> None:
        self._terms: dict[NodeId, int] = {}
        self._indexes: dict[NodeId, tuple[int, int]] = {}

    def on_started(self, node_id: NodeId) -> None:
        """What was not durable may be forgotten; the durability checker sees to the rest."""
        self._terms.pop(node_id, None)
        self._indexes.pop(node_id, None)

    def on_step(self, state: State) -> None:
        node_id = state.node_id
        term = self._terms.get(node_id, 0)
        if state.current_term < term:
            raise Violation(
                "Monotonic term", f"node {node_id} went from term {term} to {state.current_term}"
            )
        commit_index, last_applied = self._indexes.get(node_id, (0, 0))
        if not (state.commit_index >= commit_index and state.last_applied >= last_applied):
            raise Violation(
                "Monotonic indexes",
                f"node {node_id} went from commit {commit_index}, applied {last_applied} "
                f"to {state.commit_index}, {state.last_applied}",
            )
        self._terms[node_id] = state.current_term
        self._indexes[node_id] = (state.commit_index, state.last_applied)
