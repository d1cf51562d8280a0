"""Changes of KEYS on their way to their places in the store: a write-behind buffer, in memory and on disk.

To write one row to its place is to write a page. So a checkpoint only notes what changed, in blocks one behind the other, and
many changes go to their places later, a part of the keys with each checkpoint: then a page takes several. There are two
generations: the young one gets what is written, the old one goes to its places. On disk each has its blocks in a table of its
own, which the checkpoint empties that brings the last of them to its place. So whatever is noted is as new as what stands in
its place, or newer; and a start, which takes it in again, finds each row as the last checkpoint left it.

Deletions are noted, and made in their places at once: what is deleted would hold up every scan that comes to it in memory.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from raftwerk.kv.rows import ROW_BYTES
from raftwerk.storage.overlay import (
    ROW_OVERHEAD_BYTES,
    RUN_KEYS_MAX,
    SLICE_ROWS,
    Row,
    Run,
    SortedTable,
)
from raftwerk.storage.parts import Rows

BLOCK_BYTES: Final = 1900
"""Two blocks fill a page of LMDB's; only one with a large row is larger."""
BLOCK_ROW_BYTES: Final = 6
"""Of a row in a block, besides key and value."""
IN_PLACE: Final = b""
"""Instead of a row, which is never empty: that of the key is in its place, if there is one."""
SLICE_BYTES: Final = 128 * 1024
"""Of blocks, written while the loop waits."""


class Pace(NamedTuple):
    """When changes go to their places."""

    noted_max: int = 128 * 1024
    """So many rows of the young generation are noted, one that changes again too; then it becomes the old one, as soon as
    that is done. A start takes in those of both. In memory a short key and its row take some 200 bytes."""
    portions: int = 8
    """In so many checkpoints the old generation goes to its places: each writes pages of an eighth of the keys."""
    portion_min: int = 8 * 1024
    """Rows of one."""
    few: int = 4 * 1024
    """If no more are new in a checkpoint, the load is low: the young generation is old at once."""
    run_keys_max: int = RUN_KEYS_MAX
    """A portion is of whole runs of keys."""


DEFAULT_PACE: Final = Pace()


class Portion:
    """What one checkpoint does."""

    def __init__(
        self,
        fresh: Rows,
        deleted: list[bytes],
        size_bytes: int,
        generation: int,
        rows: Rows,
    ) -> None:
        """fresh: what was written since the last one; it is noted in the blocks of this generation. deleted: keys, of these; some
        may have been written again. rows: of the old generation.
        """
        self.fresh = fresh
        self.deleted = deleted
        self.size_bytes = size_bytes
        self.generation = generation
        self.is_noted = True
        """Else all of it goes to its place."""
        self.gone: list[bytes] = []
        """Of what is deleted: what is deleted in its place too."""
        self.rows = rows
        self.runs: list[Run] = []
        """What goes to its place: of these rows those in these runs, one behind the other."""
        self.is_last = False
        """Nothing is left of the old generation then: its blocks are not needed any more."""
        self.old_generation = 0
        self.forgetting: Iterator[None] = iter(())
        """Removes from memory, some at a time, what the portions before have noted or brought to its place."""

    def blocks(self) -> Iterator[list[list[Row]]]:
        """What is noted, in blocks, some at a time."""
        if not self.is_noted:
            return
        blocks: list[list[Row]] = []
        block: list[Row] = []
        size = total = 0
        for part in self.fresh.parts:
            for key, row in part.items():
                row_bytes = len(key) + (len(row) if row else 0) + BLOCK_ROW_BYTES
                if block and size + row_bytes > BLOCK_BYTES:
                    blocks.append(block)
                    block, size = [], 0
                    if total >= SLICE_BYTES:
                        yield blocks
                        blocks, total = [], 0
                block.append((key, row))
                size += row_bytes
                total += row_bytes
        if block:
            yield [*blocks, block]

    def removed(self) -> Iterator[list[Row]]:
        """What is deleted in its place, some at a time."""
        for start in range(0, len(self.deleted), SLICE_ROWS):
            some = [
                key
                for key in self.deleted[start : start + SLICE_ROWS]
                # A row in the old generation would still come to its place
                if self.fresh[key] is None and key not in self.rows
            ]
            self.gone += some
            yield [(key, None) for key in some]

    def placed(self) -> Iterator[list[Row]]:
        """What goes to its place, some at a time."""
        rows = self.rows
        some: list[Row] = []
        left = SLICE_ROWS
        for run in self.runs:
            for key in run.in_order():
                row = rows[key]
                some.append((key, row))
                left -= 1 + (len(key) + (len(row) if row else 0)) // ROW_BYTES
                if left <= 0:
                    yield some
                    some, left = [], SLICE_ROWS
        if some:
            yield some


class Changes:
    """Of one store. The generations have the numbers 0 and 1, by turns."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._young = SortedTable(pace.run_keys_max)
        self._old: SortedTable | None = None
        self._generation = 0
        """Of the young one."""
        self._noted_count = 0
        """In its blocks."""
        self._portion_rows = 0
        """Of the old one."""
        self._placed_runs = 0
        """Of the old one, at its beginning."""
        self._past = Rows()
        """Much that the last checkpoint has noted: in memory all the same."""
        self._dead: list[tuple[SortedTable, int]] = []
        """Runs at the beginning of tables that stand in their places, and in memory all the same."""
        self._gone: list[bytes] = []
        """Deleted in their places, and deleted rows in memory all the same."""
        self._fresh = Rows()
        self._deleted: list[bytes] = []
        """What of it was deleted, and may have been written again."""
        self.pending_bytes = 0
        """Of what no checkpoint has begun to write yet, by an estimate."""

    def load(self, generation: int, rows: Iterator[Row]) -> None:
        """Take in what is noted on disk: the older generation first."""
        if len(self._young.rows):
            self._make_old()
        self._generation = generation
        for key, row in rows:
            self._young.put(key, row)
            self._noted_count += 1

    def get(self, key: bytes) -> bytes | None:
        """The newest row of a key; None: it is deleted. IN_PLACE if nothing is known of it here."""
        row = self._young.rows.get(key, IN_PLACE)
        if row is IN_PLACE and self._old is not None:
            return self._old.rows.get(key, IN_PLACE)
        return row

    def put(self, key: bytes, row: bytes | None) -> None:
        """Set it, or delete it (None)."""
        self._young.put(key, row)
        self._fresh.put(key, row)
        if row is None:
            self._deleted.append(key)
        self.pending_bytes += len(key) + (len(row) if row else 0) + ROW_OVERHEAD_BYTES

    def layers(self) -> list[SortedTable]:
        """What lies over the rows that are in their places, the newest last."""
        return [
            layer for layer in (self._old, self._young) if layer is not None and len(layer.rows)
        ]

    def is_empty(self) -> bool:
        """Whether everything is in its place."""
        return self._old is None and not len(self._young.rows)

    def take_portion(self) -> Portion:
        """Of a checkpoint that begins. `finish` must be called before the next one."""
        fresh = self._fresh
        is_new = self._old is None and self._is_due(len(fresh))
        generation = self._generation
        if is_new:
            self._make_old()
            self._gone = []  # they go to their places with the others
        else:
            self._noted_count += len(fresh)
        old = self._old
        rows = Rows() if old is None else old.rows
        portion = Portion(fresh, self._deleted, self.pending_bytes, generation, rows)
        self._fresh, self._deleted, self.pending_bytes = Rows(), [], 0
        if old is not None:
            runs, start = old.runs(), self._placed_runs
            stop, row_count = start, 0
            while stop < len(runs) and row_count < self._portion_rows:
                row_count += len(runs[stop])
                stop += 1
            portion.runs = runs[start:stop]
            portion.old_generation = 1 - self._generation
            portion.is_last = stop == len(runs)
            portion.is_noted = not (is_new and portion.is_last)
        portion.forgetting = self._forget()
        return portion

    def _is_due(self, fresh_count: int) -> bool:
        """Whether the young generation should become the old one."""
        is_full = self._noted_count + fresh_count >= self._pace.noted_max
        return len(self._young.rows) > 0 and (is_full or fresh_count <= self._pace.few)

    def _make_old(self) -> None:
        self._old, self._young = self._young, SortedTable(self._pace.run_keys_max)
        self._generation, self._noted_count = 1 - self._generation, 0
        rows = len(self._old.rows) // self._pace.portions
        self._portion_rows = 1 + max(rows, self._pace.portion_min)
        self._placed_runs = 0

    def _forget(self) -> Iterator[None]:
        """Piece by piece, or it holds up the loop: what the checkpoints before have noted, or brought to its place."""
        yield from self._past.release()
        while self._dead:
            table, count = self._dead.pop()
            if count > 1:
                self._dead.append((table, count - 1))
            if table is self._old:
                self._placed_runs -= 1
            table.forget_first(1)
            yield
        young = self._young
        while self._gone:
            some = self._gone[-SLICE_ROWS:]
            del self._gone[-SLICE_ROWS:]
            for key in some:
                if young.rows.get(key, b"") is None:  # it was not written again
                    young.remove(key)
            yield

    def finish(self, portion: Portion, *, committed: bool) -> None:
        """Its checkpoint has ended."""
        if not committed:
            newer, self._fresh = self._fresh, portion.fresh
            for part in newer.parts:  # the few to the many: this holds up the loop
                for key, row in part.items():
                    self._fresh.put(key, row)
            self._deleted = portion.deleted + self._deleted
            self.pending_bytes += portion.size_bytes
            return
        self._past = portion.fresh if portion.fresh.are_many else Rows()
        self._gone = portion.gone
        if self._old is not None and portion.runs:
            self._dead.append((self._old, len(portion.runs)))
            self._placed_runs += len(portion.runs)
            if portion.is_last:
                self._old = None
