"""One checkpoint of the store on disk: a write transaction of LMDB, in slices."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.changes import Portion
from raftwerk.storage.lmdb_environment import lengthen, translated
from raftwerk.storage.lmdb_rows import LmdbRows
from raftwerk.storage.lmdb_tables import Tables
from raftwerk.storage.overlay import Overlay


class LmdbCheckpoint:
    """Implements durability.Checkpoint. The write transaction belongs to the thread that calls write and commit."""

    def __init__(
        self,
        environment: Any,
        tables: Tables,
        path: Path,
        index: int,
        frozen: Overlay,
        portion: Portion,
        past: Overlay,
        on_end: Callable[[bool], None],
    ) -> None:
        """frozen, portion: what to write. past: what the one before wrote. on_end: gets whether it is committed."""
        self.index = index
        self._environment = environment
        self._tables = tables
        self._path = path
        self._frozen = frozen
        self._portion = portion
        self._past = past
        self._on_end = on_end
        self._slices = self._written()
        self._transaction: Any = None

    def write(self) -> bool:
        try:
            return next(self._slices, True)
        except lmdb.Error as error:
            self.abort()
            raise translated(error, self._path) from error
        except CorruptData:  # in a bucket that a row is added to
            self.abort()
            raise

    def _written(self) -> Iterator[bool]:
        """Write all; False after each slice."""
        for _ in self._past.release():
            yield False
        self._environment.reader_check()  # what a process saw that was killed as it looked would never be freed
        self._transaction = self._environment.begin(write=True)
        writer = LmdbRows(self._environment, self._tables, self._transaction)
        for parts in self._frozen.slices():
            for table, rows in parts:
                writer.write(table, rows)
            yield False
        portion, notes = self._portion, writer.notes()
        for _ in portion.forgetting:
            yield False
        for blocks in portion.blocks():
            notes.add(portion.generation, blocks)
            yield False
        for rows in portion.removed():
            writer.write(Table.KEYS, rows)
            yield False
        for rows in portion.placed():
            writer.write(Table.KEYS, rows)
            yield False
        if portion.is_last:
            notes.forget(portion.old_generation)
        writer.finish()

    def commit(self) -> None:
        try:
            self._transaction.commit()
            lengthen(self._environment, self._path)  # for who opens it before the next start
        except (lmdb.Error, OSError) as error:
            raise translated(error, self._path) from error

    def abort(self) -> None:
        # An environment cannot be closed while another thread has a write transaction
        if self._transaction is not None:
            self._transaction.abort()

    def finish(self, *, committed: bool) -> None:
        self._on_end(committed)
