"""Sorted tables in memory: for the memory store, and for what the LMDB store has not written yet.

A dictionary in parts for each table (storage/parts.py), and its keys in short runs, which are put in order when somebody reads
them. New keys are given to their runs some hundred at a time, so that no write and no scan takes long, however large the table
is. None as a value is a deletion, as far as the owner wants one.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import chain
from typing import Final

from raftwerk.kv.rows import ROW_BYTES
from raftwerk.kv.store import Table
from raftwerk.storage.parts import MANY, Rows

ROW_OVERHEAD_BYTES: Final = 64
NEW_KEYS_MAX: Final = 512
"""Keys that wait for their runs: less than a millisecond of work, as a rule."""
RUN_KEYS_MAX: Final = 1024
"""A longer one is split, sooner or later."""
SPLITS_MAX: Final = 2
"""At once: keys that are even fill all runs at the same time. These make room for twice the keys that are new."""
SLICE_ROWS: Final = 100
"""Written while the loop waits: a third of a millisecond, if they stand together. Large ones count for more."""

Row = tuple[bytes, bytes | None]
"""A key, and its value; None: it is deleted."""


class Run:
    """Neighbours among the keys of a table: most are only written, and need no order but that of the runs."""

    __slots__ = ("_is_in_order", "_keys")

    def __init__(self, keys: list[bytes]) -> None:
        """keys: in order."""
        self._keys = keys
        self._is_in_order = True

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: list[bytes]) -> None:
        """In order too."""
        mine = self._keys
        if mine and keys[0] < mine[-1] and self._is_in_order:
            if len(keys) == 1:  # as when each put is followed by a scan
                insort(mine, keys[0])
                return
            self._is_in_order = False
        mine += keys

    def remove(self, key: bytes) -> None:
        """One of them."""
        if self._is_in_order:
            del self._keys[bisect_left(self._keys, key)]
        else:
            self._keys.remove(key)  # sooner done than to sort them

    def in_order(self) -> list[bytes]:
        """Its keys, only to read."""
        if not self._is_in_order:
            self._keys.sort()
            self._is_in_order = True
        return self._keys


class SortedTable:
    """One table: bytes to bytes, or to None."""

    __slots__ = ("_floors", "_new", "_run_keys_max", "_runs", "rows", "size_bytes")

    def __init__(self, run_keys_max: int = RUN_KEYS_MAX) -> None:
        self._run_keys_max = run_keys_max
        self.rows = Rows()
        self.size_bytes = 0
        """Of everything ever put, an estimate of the memory used."""
        self._runs = [Run([])]
        self._floors = [b""]
        """Of each run: its keys are not less, those of the runs before it are."""
        self._new: list[bytes] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        if self.rows.put(key, value):
            self._new.append(key)
            if len(self._new) >= NEW_KEYS_MAX:
                self._bring_up_to_date()
        self.size_bytes += len(key) + (len(value) if value else 0) + ROW_OVERHEAD_BYTES

    def remove(self, key: bytes) -> None:
        """Forget a key."""
        if key in self.rows:
            self.rows.remove(key)
            self._bring_up_to_date()
            place = bisect_right(self._floors, key) - 1
            run = self._runs[place]
            run.remove(key)
            if not run and place:
                del self._runs[place], self._floors[place]

    def items(self, start: bytes, stop: bytes | None, *, reverse: bool = False) -> Iterator[Row]:
        """Rows with start <= key < stop, in order."""
        self._bring_up_to_date()
        rows = self.rows
        first = bisect_right(self._floors, start) - 1
        last = len(self._runs) if stop is None else bisect_left(self._floors, stop)
        runs = self._runs[first:last]
        for run in reversed(runs) if reverse else runs:
            keys = run.in_order()
            end = len(keys) if stop is None else bisect_left(keys, stop)
            places = range(bisect_left(keys, start), end)
            for place in reversed(places) if reverse else places:
                key = keys[place]
                yield key, rows[key]

    def runs(self) -> list[Run]:
        """All keys, in runs one behind the other; `in_order` gives those of each. Until the next write, and only to read."""
        self._bring_up_to_date()
        return self._runs

    def forget_first(self, count: int) -> None:
        """All keys of the first `count` of these runs."""
        rows = self.rows
        for run in self._runs[:count]:
            for key in run.in_order():
                rows.remove(key)
        self._runs = self._runs[count:] or [Run([])]
        self._floors = [b"", *self._floors[count + 1 :]]

    def release(self) -> Iterator[None]:
        """Give its memory back, piece by piece: all at once holds up the loop. Nobody may use it any more."""
        yield from self.rows.release()
        while self._runs:
            if len(self._runs.pop()):
                yield

    def _bring_up_to_date(self) -> None:
        new = self._new
        if not new:
            return
        new.sort()
        end, splits_left = len(new), SPLITS_MAX
        while end:  # from behind: a run that is split moves those after it
            place = bisect_right(self._floors, new[end - 1]) - 1
            begin = bisect_left(new, self._floors[place], 0, end)
            run = self._runs[place]
            run.add(new[begin:end])
            if len(run) > self._run_keys_max and splits_left:
                self._split(place)
                splits_left -= 1
            end = begin
        self._new = []

    def _split(self, place: int) -> None:
        """Into runs about half full."""
        keys = self._runs[place].in_order()
        count = 2 * len(keys) // self._run_keys_max
        size = -(-len(keys) // count)  # rounded up: the last one is no crumb
        pieces = [keys[start : start + size] for start in range(0, len(keys), size)]
        self._runs[place : place + 1] = [Run(piece) for piece in pieces]
        self._floors[place + 1 : place + 1] = [piece[0] for piece in pieces[1:]]


class Overlay:
    """All tables, by number."""

    def __init__(self) -> None:
        self.tables = [SortedTable() for _ in Table]

    @property
    def size_bytes(self) -> int:
        return sum(table.size_bytes for table in self.tables)

    @property
    def is_large(self) -> bool:
        """Whether its memory should be given back with `release`."""
        return sum(len(table.rows) for table in self.tables) > MANY

    def is_empty(self) -> bool:
        return not any(len(table.rows) for table in self.tables)

    def add_newer(self, newer: "Overlay") -> None:
        """Take in writes that were made after those that are here."""
        for mine, theirs in zip(self.tables, newer.tables, strict=True):
            for part in theirs.rows.parts:
                for key, value in part.items():
                    mine.put(key, value)

    def release(self) -> Iterator[None]:
        """Give its memory back, piece by piece. Nobody may use it any more."""
        for table in self.tables:
            yield from table.release()

    def slices(self) -> Iterator[list[tuple[Table, list[Row]]]]:
        """All rows, by table and in order, in slices."""
        parts: list[tuple[Table, list[Row]]] = []
        left = SLICE_ROWS
        for table in Table:
            rows = self.tables[table].rows
            as_they_came = chain.from_iterable([part.items() for part in rows.parts])
            part: list[Row] = []
            for run in self.tables[table].runs():
                for key in run.in_order():
                    row = next(as_they_came)
                    if row[0] is not key:  # else it came in order, as revisions do: no look-up
                        row = key, rows[key]
                    value = row[1]
                    part.append(row)
                    left -= 1 + (len(value) // ROW_BYTES if value else 0)
                    if left <= 0:
                        yield [*parts, (table, part)]
                        parts, part, left = [], [], SLICE_ROWS
            if part:
                parts.append((table, part))
        if parts:
            yield parts


def merged(
    base: Iterator[tuple[bytes, bytes]],
    newer: list[SortedTable],
    start: bytes,
    stop: bytes | None,
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """The base under the newer tables, the newest last."""
    for key, value in with_deleted(base, newer, start, stop, reverse=reverse):
        if value is not None:
            yield key, value


def with_deleted(
    base: Iterator[tuple[bytes, bytes]],
    newer: list[SortedTable],
    start: bytes,
    stop: bytes | None,
    *,
    reverse: bool = False,
) -> Iterator[Row]:
    """The same, with what is deleted."""
    rows: Iterator[Row] = base
    for table in newer:
        rows = merged_rows(table.items(start, stop, reverse=reverse), rows, reverse=reverse)
    return rows


def merged_rows(
    newer: Iterator[Row],
    older: Iterator[Row],
    *,
    reverse: bool,
) -> Iterator[Row]:
    """Both in order, with what is deleted; of equal keys, the newer one's row."""
    ours, theirs = next(newer, None), next(older, None)
    while ours is not None and theirs is not None:
        if ours[0] == theirs[0]:
            theirs = next(older, None)
        elif (ours[0] < theirs[0]) is not reverse:
            yield ours
            ours = next(newer, None)
        else:
            yield theirs
            theirs = next(older, None)
    if ours is not None:
        yield ours
        yield from newer
    elif theirs is not None:
        yield theirs
        yield from older
