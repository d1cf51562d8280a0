"""Sorted tables in memory: for the memory store, and for what the LMDB store has not written yet.

A dictionary for each table, and its sorted keys in short runs. New keys get their places a few at a time, so that no
write and no scan takes long, however large the table is. None as a value is a deletion, as far as the owner wants one.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

from raftwerk.kv.store import Table

ROW_OVERHEAD_BYTES: Final = 64
NEW_KEYS_MAX: Final = 256
"""Keys that wait for their places."""
RUN_KEYS_MAX: Final = 1024


class SortedTable:
    """One table: bytes to bytes, or to None."""

    __slots__ = ("_floors", "_new", "_runs", "rows", "size_bytes")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.size_bytes = 0
        """Of everything ever put, an estimate of the memory used."""
        self._runs: list[list[bytes]] = [[]]
        """The keys in order."""
        self._floors = [b""]
        """Of each run: its keys are not less, those of the runs before it are."""
        self._new: list[bytes] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        rows = self.rows
        count = len(rows)
        rows[key] = value
        if len(rows) > count:
            self._new.append(key)
            if len(self._new) >= NEW_KEYS_MAX:
                self._bring_up_to_date()
        self.size_bytes += len(key) + (len(value) if value else 0) + ROW_OVERHEAD_BYTES

    def remove(self, key: bytes) -> None:
        """Forget a key."""
        if self.rows.pop(key, None) is not None:
            self._bring_up_to_date()
            place = bisect_right(self._floors, key) - 1
            run = self._runs[place]
            del run[bisect_left(run, key)]
            if not run and place:
                del self._runs[place], self._floors[place]

    def items(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Rows with start <= key < stop, in order."""
        self._bring_up_to_date()
        rows = self.rows
        first = bisect_right(self._floors, start) - 1
        last = len(self._runs) if stop is None else bisect_left(self._floors, stop)
        runs = self._runs[first:last]
        for run in reversed(runs) if reverse else runs:
            end = len(run) if stop is None else bisect_left(run, stop)
            places = range(bisect_left(run, start), end)
            for place in reversed(places) if reverse else places:
                key = run[place]
                yield key, rows[key]

    def _bring_up_to_date(self) -> None:
        new = self._new
        if not new:
            return
        new.sort()
        last = self._runs[-1]
        if not last or new[0] > last[-1]:  # behind all others, as revisions are
            self._append(new)
            self._new = []
            return
        for key in new:
            place = bisect_right(self._floors, key) - 1
            run = self._runs[place]
            insort(run, key)
            if len(run) > RUN_KEYS_MAX:
                self._split(place)
        new.clear()

    def _append(self, keys: list[bytes]) -> None:
        last = self._runs[-1]
        if len(last) + len(keys) > RUN_KEYS_MAX:
            self._runs.append(keys)
            self._floors.append(keys[0])
        else:
            last += keys

    def _split(self, place: int) -> None:
        run = self._runs[place]
        upper = run[RUN_KEYS_MAX // 2 :]
        del run[RUN_KEYS_MAX // 2 :]
        self._runs.insert(place + 1, upper)
        self._floors.insert(place + 1, upper[0])


class Overlay:
    """All tables, by number."""

    def __init__(self) -> None:
        self.tables = [SortedTable() for _ in Table]

    @property
    def size_bytes(self) -> int:
        return sum(table.size_bytes for table in self.tables)

    def is_empty(self) -> bool:
        return not any(table.rows for table in self.tables)

    def add_newer(self, newer: "Overlay") -> None:
        """Take in writes that were made after those that are here."""
        for mine, theirs in zip(self.tables, newer.tables, strict=True):
            for key, value in theirs.rows.items():
                mine.put(key, value)
