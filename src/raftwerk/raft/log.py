"""log[] of Figure 2: the entries since the last compaction, in memory.

Invariants: entry k of the list has index snapshot_index + 1 + k; terms never fall along the log; the term at
snapshot_index is known, so that the consistency check of AppendEntries works at the very edge.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from raftwerk.raft.types import Entry, Index, Term

_term: Final = attrgetter("term")


class Log:
    """An indexed list of entries that starts after a snapshot (index 0, term 0: at the beginning of time)."""

    __slots__ = ("_entries", "size_bytes", "snapshot_index", "snapshot_term")

    def __init__(
        self, snapshot_index: Index = 0, snapshot_term: Term = 0, entries: Iterable[Entry] = ()
    ) -> None:
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        self.size_bytes = 0
        """Of the commands in memory."""
        self._entries: list[Entry] = []
        self.append(tuple(entries))

    @property
    def last_index(self) -> Index:
        return self.snapshot_index + len(self._entries)

    @property
    def last_term(self) -> Term:
        return self._entries[-1].term if self._entries else self.snapshot_term

    def has(self, index: Index) -> bool:
        """Whether the term at `index` is known: snapshot_index <= index <= last_index."""
        return self.snapshot_index <= index <= self.last_index

    def term_at(self, index: Index) -> Term:
        """The term at an index that the log has."""
        assert self.has(index), f"no term at {index}: {self.snapshot_index}..{self.last_index}"
        if index == self.snapshot_index:
            return self.snapshot_term
        return self._entries[index - self.snapshot_index - 1].term

    def matches(self, index: Index, term: Term) -> bool:
        """Whether the log has an entry (or the snapshot's edge) at `index` with `term`."""
        return self.has(index) and self.term_at(index) == term

    def slice(self, start: Index, stop: Index) -> list[Entry]:
        """Entries with start <= index < stop; start must be after the snapshot."""
        assert self.snapshot_index < start <= stop <= self.last_index + 1
        offset = self.snapshot_index + 1
        return self._entries[start - offset : stop - offset]

    def batch(self, start: Index, entries_max: int, bytes_max: int) -> tuple[list[Entry], int]:
        """Entries from `start`, bounded in number and size of their commands, but at least one if there is one.

        Returns (entries, size of their commands).
        """
        candidates = self.slice(start, min(self.last_index + 1, start + entries_max))
        size = 0
        for count, entry in enumerate(candidates):
            size += len(entry.command)
            if size > bytes_max and count:
                return candidates[:count], size - len(entry.command)
        return candidates, size

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that continue the log without a gap."""
        if not entries:
            return
        assert entries[0].index == self.last_index + 1, (
            f"{entries[0].index} after {self.last_index}"
        )
        assert entries[0].term >= self.last_term
        self._entries.extend(entries)
        assert self._entries[-1].index == self.last_index
        self.size_bytes += sum([len(entry.command) for entry in entries])

    def truncate_from(self, index: Index) -> None:
        """Delete the entry at `index` and all that follow it (AppendEntries rule 3 decides when)."""
        assert self.snapshot_index < index <= self.last_index
        position = index - self.snapshot_index - 1
        self.size_bytes -= sum([len(entry.command) for entry in self._entries[position:]])
        del self._entries[position:]

    def compact_to(self, index: Index) -> None:
        """Forget entries up to and including `index`, whose effect a checkpoint holds."""
        assert self.has(index)
        term = self.term_at(index)
        count = index - self.snapshot_index
        self.size_bytes -= sum([len(entry.command) for entry in self._entries[:count]])
        del self._entries[:count]
        self.snapshot_index = index
        self.snapshot_term = term

    def reset(self, snapshot_index: Index, snapshot_term: Term) -> None:
        """Forget everything; the log starts after this snapshot."""
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        self.size_bytes = 0
        self._entries.clear()

    def first_index_of_term_at(self, index: Index) -> Index:
        """The first index whose term is that of `index` (not before the snapshot's edge)."""
        place = bisect_left(self._entries, self.term_at(index), key=_term)
        return min(index, self.snapshot_index + 1 + place)

    def last_index_of_term(self, term: Term, limit: Index) -> Index:
        """The last index <= limit whose term is <= `term`; the snapshot's edge if there is none."""
        return min(limit, self.snapshot_index + bisect_right(self._entries, term, key=_term))
