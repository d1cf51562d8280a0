"""Sorted tables in memory: for the memory store, and for what the LMDB store has not written yet.

A dictionary for each table, and its sorted keys, which are brought up to date only when somebody scans: most writes are
never followed by a scan before they are written out. None as a value is a deletion, as far as the owner wants one.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from raftwerk.kv.store import Table

ROW_OVERHEAD_BYTES: Final = 64
FEW: Final = 64
"""New keys that are put into their places one by one; more are sorted and merged."""


class SortedTable:
    """One table: bytes to bytes, or to None."""

    __slots__ = ("_keys", "_new", "rows", "size_bytes")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.size_bytes = 0
        """Of everything ever put, an estimate of the memory used."""
        self._keys: list[bytes] = []
        self._new: list[bytes] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        rows = self.rows
        if key not in rows:
            self._new.append(key)
        rows[key] = value
        self.size_bytes += len(key) + (len(value) if value else 0) + ROW_OVERHEAD_BYTES

    def remove(self, key: bytes) -> None:
        """Forget a key."""
        if self.rows.pop(key, None) is not None:
            self._bring_up_to_date()
            del self._keys[bisect_left(self._keys, key)]

    def items(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Rows with start <= key < stop, in order."""
        self._bring_up_to_date()
        keys, rows = self._keys, self.rows
        first = bisect_left(keys, start)
        last = len(keys) if stop is None else bisect_left(keys, stop)
        places = range(first, last)
        for place in reversed(places) if reverse else places:
            key = keys[place]
            yield key, rows[key]

    def _bring_up_to_date(self) -> None:
        new = self._new
        if not new:
            return
        if len(new) <= FEW:
            for key in new:
                insort(self._keys, key)
        else:
            self._keys += new
            self._keys.sort()  # runs that are in order already are merged in linear time
        self._new = []


class Overlay:
    """All tables, by number."""

    def __init__(self) -> None:
        self.tables = [SortedTable() for _ in Table]

    @property
    def size_bytes(self) -> int:
        return sum(table.size_bytes for table in self.tables)

    def is_empty(self) -> bool:
        return not any(table.rows for table in self.tables)

    def add_older(self, older: "Overlay") -> None:
        """Take in writes that were made before those that are here."""
        for mine, theirs in zip(self.tables, older.tables, strict=True):
            for key, value in theirs.rows.items():
                if key not in mine.rows:
                    mine.put(key, value)
