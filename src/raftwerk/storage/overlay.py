"""Sorted tables in memory: for the memory store, and for what the LMDB store has not written yet.

A dictionary for each table, and its sorted keys, which are brought up to date only when somebody scans: most writes are
never followed by a scan before they are written out. None as a value is a deletion, as far as the owner wants one.
"""

from bisect import bisect_left
from collections.abc import Iterator

from raftwerk.kv.store import Table

ROW_OVERHEAD_BYTES = 64


class SortedTable:
    """One table: bytes to bytes, or to None."""

    __slots__ = ("_keys", "_new", "rows")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self._keys: list[bytes] = []
        self._new: list[bytes] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        if key not in self.rows:
            self._new.append(key)
        self.rows[key] = value

    def remove(self, key: bytes) -> None:
        """Forget a key; the sorted list is made anew at the next scan."""
        if self.rows.pop(key, None) is not None:
            self._keys = []
            self._new = list(self.rows)

    def keys(self, start: bytes, stop: bytes | None, *, reverse: bool = False) -> Iterator[bytes]:
        """start <= key < stop, in order."""
        if self._new:
            # Timsort: the old run and the new one are merged in linear time
            self._new.sort()
            self._keys = sorted(self._keys + self._new) if self._keys else self._new
            self._new = []
        keys = self._keys
        first = bisect_left(keys, start)
        last = len(keys) if stop is None else bisect_left(keys, stop)
        places = range(first, last)
        for place in reversed(places) if reverse else places:
            yield keys[place]


class Overlay:
    """All tables, and how much they hold."""

    def __init__(self) -> None:
        self.tables = [SortedTable() for _ in Table]  # by number of the table
        self.size_bytes = 0

    def put(self, table: Table, key: bytes, value: bytes | None) -> None:
        self.tables[table].put(key, value)
        self.size_bytes += len(key) + (len(value) if value is not None else 0) + ROW_OVERHEAD_BYTES

    def is_empty(self) -> bool:
        return self.size_bytes == 0

    def add_older(self, older: "Overlay") -> None:
        """Take in writes that were made before those that are here."""
        for table, rows in enumerate(older.tables):
            mine = self.tables[table]
            for key, value in rows.rows.items():
                if key not in mine.rows:
                    mine.put(key, value)
        self.size_bytes += older.size_bytes
