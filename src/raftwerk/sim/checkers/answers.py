"""The clients' answers against the one history: exactly once, in real-time order, and of the right revision.

Every command of the workload is unique, so that it can be found in the log. An answer "done" needs the command there, once,
with the result that the oracle gave; an answer "certainly not done" forbids it for ever. An operation that began after
another one had ended stands behind it in the log, and reads at least its state.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from raftwerk.kv.results import KvError
from raftwerk.raft.types import Entry, EntryKind, Index
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.state_machine_safety import StateMachineSafety
from raftwerk.sim.history import Operation

_plain = msgspec.msgpack.encode
"""What a session has kept comes back with lists for tuples."""


class Answers:
    """Knows where each command stands in the log."""

    def __init__(
        self,
        committed: Committed,
        machines: StateMachineSafety,
        may_repeat: Callable[[bytes], bool],
    ) -> None:
        """may_repeat: whether a command may rightly stand in the log more than once."""
        self._committed = committed
        self._machines = machines
        self._may_repeat = may_repeat
        self._index_of: dict[bytes, Index] = {}
        self._refused: set[bytes] = set()
        self.floor_index: Index = 0
        """The highest index that an answered operation needs."""

    def on_committed(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.kind is not EntryKind.COMMAND:
                continue
            first = self._index_of.setdefault(entry.command, entry.index)
            if first != entry.index and not self._may_repeat(entry.command):
                raise Violation(
                    "Exactly once",
                    f"{entry.command!r} was committed at {first}, and again at {entry.index}",
                )
            if entry.command in self._refused:
                raise Violation(
                    "Exactly once",
                    f"{entry.command!r} was refused, but is committed at {entry.index}",
                )

    def on_call(self, operation: Operation) -> None:
        """A read must see all that is committed by now, answered or not."""
        is_read = operation.is_read
        operation.floor_index = self._committed.last_index if is_read else self.floor_index

    def on_done(self, operation: Operation, result: object) -> None:
        """A command was answered with its result."""
        index = self._index_of.get(operation.command)
        assert operation.command
        if index is None:
            raise Violation("Exactly once", f"{operation} was answered, but not committed")
        assert index is not None
        if index <= operation.floor_index:
            raise Violation(
                "Real-time order",
                f"{operation} stands at {index}, though {operation.floor_index} had been answered before it began",
            )
        expected = self._machines.results[index - 1]
        if result != expected and _plain(result) != _plain(expected):
            raise Violation(
                "Equal state machines",
                f"{operation} was answered with {result}, at {index} stands {expected}",
            )
        operation.index = index
        self.floor_index = max(self.floor_index, index)

    def find(self, operations: Iterable[Operation]) -> None:
        """At the end: where operations without an answer stand in the log, if they do."""
        for operation in operations:
            index = operation.index or self._index_of.get(operation.command, 0)
            if index and not isinstance(self._machines.results[index - 1], KvError):
                operation.index = index

    def on_not_done(self, operation: Operation) -> None:
        """A command was answered with: it did not happen, and never will."""
        self._refused.add(operation.command)
        index = self._index_of.get(operation.command)
        if index is not None:
            raise Violation("Exactly once", f"{operation} was refused, but stands at {index}")

    def on_read(
        self, operation: Operation, last_applied: Index, result: object, expected: object
    ) -> None:
        """A linearizable read was answered by a node that had applied last_applied. expected: the oracle's answer there."""
        if last_applied < operation.floor_index:
            raise Violation(
                "Real-time order",
                f"{operation} read the state of {last_applied}, though {operation.floor_index} had been answered before it began",
            )
        if result != expected:
            raise Violation(
                "Reads equal the replayed state",
                f"{operation} read {result}, the log gives {expected}",
            )
        operation.index = last_applied
        self.floor_index = max(self.floor_index, last_applied)
