"""State Machine Safety (Figure 3): no two nodes apply different commands at one index. And: the same commands give the same.

Beside the cluster stands one more state machine, the oracle, which applies each entry at the moment when it is first
committed. Every node's commands, results and states are compared with it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from raftwerk.raft.types import Entry, EntryKind, Index, NodeId
from raftwerk.replica.ports import StateMachine
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.committed import Committed


class OracleChecks(Protocol):
    """What else must hold of one kind of state machine."""

    def may_repeat(self, command: bytes) -> bool:
        """Whether a command may rightly stand in the log more than once."""

    def on_applied(self, entry: Entry, result: object) -> None:
        """The oracle has applied an entry (result None: not for it)."""

    def check_state(self, node_id: NodeId, machine: StateMachine) -> None:
        """Compare the whole state of a node's machine with the oracle's when it was there."""


class NoChecks:
    """Nothing else."""

    def may_repeat(self, command: bytes) -> bool:
        return False

    def on_applied(self, entry: Entry, result: object) -> None:
        """Nothing to check."""

    def check_state(self, node_id: NodeId, machine: StateMachine) -> None:
        """Nothing to check."""


class StateMachineSafety:
    """Compares every node with the oracle."""

    def __init__(
        self,
        committed: Committed,
        oracle: StateMachine,
        digest: Callable[[StateMachine, StateMachine], tuple[object, object] | None],
        more: OracleChecks,
    ) -> None:
        """digest(machine, oracle): both states in a form that can be compared, at the machine's revision; None: not now."""
        self._committed = committed
        self._digest = digest
        self._more = more
        self.oracle = oracle
        self.results: list[object] = []
        """Of each index, from 1; None where the entry is not for the machine."""

    def on_committed(self, entries: Sequence[Entry]) -> None:
        """Entries are committed for the first time."""
        for entry in entries:
            result = None
            if entry.kind is EntryKind.COMMAND:
                (result,) = self.oracle.apply([entry.command], entry.index, b"oracle")
            self.results.append(result)
            self._more.on_applied(entry, result)

    def on_apply(
        self,
        node_id: NodeId,
        last_applied: Index,
        commands: Sequence[bytes],
        index: Index,
        results: Sequence[object],
    ) -> None:
        """A node applied everything after last_applied, up to index."""
        if index > self._committed.last_index:
            raise Violation(
                "State Machine Safety",
                f"node {node_id} applied {index}, committed is {self._committed.last_index}",
            )
        span = range(last_applied + 1, index + 1)
        entries = [self._committed.entry_at(place) for place in span]
        wanted = [entry for entry in entries if entry.kind is EntryKind.COMMAND]
        if [entry.command for entry in wanted] != list(commands):
            raise Violation(
                "State Machine Safety",
                f"node {node_id} applied other commands than those committed from {last_applied + 1} to {index}",
            )
        for entry, result in zip(wanted, results, strict=True):
            expected = self.results[entry.index - 1]
            if result != expected:
                raise Violation(
                    "Equal state machines",
                    f"node {node_id} at {entry.index}: {entry.command!r} gave {result}, elsewhere {expected}",
                )

    def check_state(self, node_id: NodeId, machine: StateMachine) -> bool:
        """Compare the whole state. Returns whether that was possible."""
        self._more.check_state(node_id, machine)
        digests = self._digest(machine, self.oracle)
        if digests is None:
            return False
        if digests[0] != digests[1]:
            raise Violation(
                "Equal state machines",
                f"node {node_id} has another state than the same commands gave elsewhere",
            )
        return True
