"""Hands what is committed to the state machine, in order. A command that takes long gets one slice in each step of the node."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Final

from raftwerk.raft.types import Entry, EntryKind, Index
from raftwerk.replica.ports import Applying, StateMachine

WAITING_ENTRIES_MAX: Final = 50_000
"""Committed, but not applied yet: beyond it, proposals are refused, or an overloaded member's log would grow without limit. A
second of full load: with etcd's 5,000 a long command at one member was enough to refuse its clients."""


class Applier:
    """Between the core, which is told of nothing here, and the machine."""

    def __init__(
        self,
        machine: StateMachine,
        last_applied: Index,
        on_applied: Callable[[Sequence[Entry], Sequence[object]], None],
    ) -> None:
        """on_applied: gets entries with a result for each; None where the entry is not for the machine."""
        self.last_applied = last_applied
        """By the machine, whole."""
        self._machine = machine
        self._on_applied = on_applied
        self.waiting_count = 0
        """Entries that are committed, and not applied."""
        self._waiting: deque[tuple[list[Entry], bytes]] = deque()
        self._applying: Applying | None = None
        """What is left of a long command, of the first that wait."""

    @property
    def is_behind(self) -> bool:
        """Whether too much waits."""
        return self.waiting_count > WAITING_ENTRIES_MAX

    @property
    def is_mid_command(self) -> bool:
        """Whether the machine's rows are of no whole state: no checkpoint may begin."""
        return self._applying is not None

    def add(self, entries: list[Entry], position: bytes) -> None:
        """Entries are committed. position: see StateMachine.apply."""
        self._waiting.append((entries, position))
        self.waiting_count += len(entries)

    def advance(self) -> bool:
        """Apply the first of what waits, or the next slice of a long command. Returns whether to call again.

        No more than that: the node decides how often in one step, and between steps a checkpoint may begin.
        """
        if not self._waiting:
            return False
        entries, position = self._waiting[0]
        if self._applying is None:
            commands = [e.command for e in entries if e.kind is EntryKind.COMMAND]
            results = self._machine.apply(commands, entries[-1].index, position)
            if isinstance(results, Generator):
                self._applying = results
                return True
        else:
            try:
                next(self._applying)
                return True
            except StopIteration as end:
                results = end.value
                self._applying = None
        self._waiting.popleft()
        self.waiting_count -= len(entries)
        self.last_applied = entries[-1].index
        self._on_applied(entries, _spread(entries, results))
        return bool(self._waiting)

    def skip_to(self, index: Index) -> None:
        """A snapshot brought the machine there: what waits is part of it."""
        if self._applying is not None:
            self._applying.close()
            self._applying = None
        self._waiting.clear()
        self.waiting_count = 0
        self.last_applied = index


def _spread(entries: Sequence[Entry], results: Sequence[object]) -> Sequence[object]:
    """A result for each entry."""
    if len(results) == len(entries):
        return results
    of_commands = iter(results)
    return [next(of_commands) if e.kind is EntryKind.COMMAND else None for e in entries]
