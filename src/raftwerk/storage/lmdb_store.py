"""The store on disk: LMDB, with what is not written yet in memory over it.

Writes go to an overlay; a checkpoint freezes it and writes it out in one synced transaction, while a new overlay takes
the next writes. Reads look into the overlay, the frozen one, and LMDB, in this order. So reads always see every write,
and what is on disk is always a whole state with its position: LMDB's copy-on-write tree survives a power cut at any
point.

The environment lives in a folder of its own, named by the file CURRENT; a restored snapshot is built in another folder
and takes its place by replacing CURRENT.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import lmdb

from raftwerk.directories import make_directory, sync_directory
from raftwerk.errors import CorruptData, DataDirError, DiskFailed
from raftwerk.kv.store import Store, Table
from raftwerk.storage.lmdb_environment import (
    DATA,
    is_out_of_space,
    lengthen,
    missing_bytes,
    open_environment,
    remove_piece,
    translated,
)
from raftwerk.storage.lmdb_rows import LmdbRows, Tables, open_tables
from raftwerk.storage.lmdb_whole import is_whole
from raftwerk.storage.overlay import Overlay, merged
from raftwerk.storage.reader import StreamReader
from raftwerk.storage.recent import Recent
from raftwerk.storage.stream import Row, StreamDecoder

CURRENT: Final = "CURRENT"
FORMAT: Final = "2"
"""Of all that stands in the folder, the machine's rows included: another one with any change to docs/store-format.md."""

_NAME: Final = re.compile(r"data-[0-9]{6,}")
"""Of an environment."""


_KEYS: Final = Table.KEYS


class LmdbStore(Store):
    """The store on disk. One instance owns its folder: the data folder's lock sees to that."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the store in `folder`, or make a new one. Raises CorruptData or DataDirError.

        read_only: look at the last checkpoint of a folder that may be in use; nothing can be written.
        """
        self._folder = folder
        if not read_only:
            make_directory(folder)
            if not (folder / CURRENT).exists():
                self.make_current("data-000001")
        self._path = folder / self.current()
        self._last_number = int(self._path.name.removeprefix("data-"))
        if not read_only:
            self._remove_leftovers()
        self._under_way: LmdbCheckpoint | None = None
        self.on_damage: Callable[[CorruptData], None] | None = None
        """Gets each CorruptData that a reader meets, in its thread, before it is raised."""
        self._readers: set[LmdbRows] = set()
        """Of snapshots that are open."""
        self._use(*_opened(self._path, read_only=read_only))

    def current(self) -> str:
        """The environment that a start would open."""
        path = self._folder / CURRENT
        try:
            name, _, version = path.read_text().strip().partition(" ")
        except OSError as error:
            raise DataDirError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CorruptData(path, error.start, "this is no text") from error
        if not _NAME.fullmatch(name) or not (self._folder / name).is_dir():
            raise CorruptData(path, 0, f"it names {name!r}, which is not there")
        if version != FORMAT:
            raise DataDirError(
                f"{path} says that the store is of format {version or 'unknown'}; this version of raftwerk reads format "
                f"{FORMAT}. Use the version that wrote it."
            )
        return name

    def make_current(self, name: str) -> None:
        """Let every start from now on open this environment. Raises OSError: it is not; DiskFailed: that is unknown."""
        make_directory(self._folder / name)
        draft = self._folder / f"{CURRENT}.new"
        with draft.open("w") as file:
            file.write(f"{name} {FORMAT}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            draft.rename(self._folder / CURRENT)
            sync_directory(self._folder)
        except OSError as error:  # even for want of space: it may have taken place
            raise DiskFailed(
                f"could not replace {self._folder / CURRENT}: {error}. The node stops; check the disk before it starts again."
            ) from error

    def _remove_leftovers(self) -> None:
        for path in self._folder.iterdir():
            if path.name.startswith("data-") and path != self._path:
                shutil.rmtree(path)

    def _use(self, environment: Any, tables: Tables) -> None:
        self._environment, self._tables = environment, tables
        for table in tables:
            table.on_damage = self._tell_damage
        self._base = LmdbRows(environment, tables)
        self._recent = Recent()
        """Of KEYS, as a read sees it: each write of a key begins with its row."""
        self._overlay = Overlay()
        self._frozen: Overlay | None = None

    def _tell_damage(self, error: CorruptData) -> None:
        if self.on_damage is not None:
            self.on_damage(error)

    # Rows

    def get(self, table: Table, key: bytes) -> bytes | None:
        if table is not _KEYS:
            return self._read(table, key)
        row = self._recent.get(key)
        if row is None:
            row = self._read(table, key)
            if row is not None:
                self._recent.put(key, row)
        return row

    def _read(self, table: Table, key: bytes) -> bytes | None:
        rows = self._overlay.tables[table].rows
        if key in rows:
            return rows[key]
        if self._frozen is not None:
            rows = self._frozen.tables[table].rows
            if key in rows:
                return rows[key]
        return self._base.get(table, key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self._overlay.tables[table].put(key, value)
        if table is _KEYS:
            self._recent.put(key, value)

    def delete(self, table: Table, key: bytes) -> None:
        self._overlay.tables[table].put(key, None)
        if table is _KEYS:
            self._recent.forget(key)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        base = self._base.scan(table, start, stop, reverse=reverse)
        overlays = [layer for layer in (self._frozen, self._overlay) if layer is not None]
        newer = [layer.tables[table] for layer in overlays if layer.tables[table].rows]
        return merged(base, newer, start, stop, reverse=reverse) if newer else base

    # Checkpoints and snapshots

    def begin_checkpoint(self, index: int) -> "LmdbCheckpoint | None":
        if self._under_way is not None or self._overlay.is_empty():
            return None
        assert self._frozen is None
        self._frozen, self._overlay = self._overlay, Overlay()
        self._under_way = LmdbCheckpoint(
            self, self._environment, self._tables, self._path, self._frozen, index
        )
        return self._under_way

    def end_checkpoint(self, *, committed: bool) -> None:
        """Called by the checkpoint."""
        frozen = self._frozen
        assert frozen is not None
        self._under_way = None
        self._frozen = None
        if committed:
            self._base.renew()
        else:
            frozen.add_newer(self._overlay)  # the few rows to the many: this holds up the loop
            self._overlay = frozen

    def open_snapshot(self) -> StreamReader:
        rows = LmdbRows(self._environment, self._tables)
        self._readers.add(rows)
        position = rows.get(Table.META, b"position") or b""

        def all_rows() -> Iterator[Row]:
            for table in Table:
                for key, value in rows.scan(table, b"", None):
                    yield int(table), key, value

        return StreamReader(all_rows(), position, lambda: self._close_reader(rows))

    def _close_reader(self, rows: LmdbRows) -> None:
        if rows in self._readers:
            self._readers.remove(rows)
            rows.close()

    def begin_restore(self) -> "LmdbRestore":
        self._last_number += 1  # a number of its own: what was given up may not be removed yet
        return LmdbRestore(self, self._folder / f"data-{self._last_number:06d}")

    def exchange(self, path: Path, environment: Any, tables: Tables) -> tuple[Path, Any]:
        """Called by the restore: use this environment from now on. Returns the one before: nobody reads it any more.

        The overlay belongs to the old state. A snapshot of that one cannot be read on.
        """
        assert self._under_way is None, "a checkpoint is under way"
        old = self._path, self._environment
        self._end_reading()
        self._path = path
        self._use(environment, tables)
        return old

    def _end_reading(self) -> None:
        for rows in (self._base, *self._readers):
            rows.close()
        self._readers.clear()

    @property
    def pending_bytes(self) -> int:
        return self._overlay.size_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        return self._base.size_bytes

    def close(self) -> None:
        self._end_reading()
        self._environment.close()


def _opened(path: Path, *, read_only: bool = False) -> tuple[Any, Tables]:
    environment = open_environment(path, read_only=read_only)
    try:
        missing = missing_bytes(environment, path)
        if missing:
            if not is_whole(path):
                size = (path / DATA).stat().st_size
                text = f"the file ends here, {size + missing} bytes are needed"
                raise CorruptData(path / DATA, size, text)
            if not read_only:
                lengthen(environment, path)
        return environment, open_tables(environment)
    except (DataDirError, OSError):
        environment.close()
        raise
    except lmdb.Error as error:
        environment.close()
        if is_out_of_space(str(error), path):
            raise translated(error, path) from error
        raise CorruptData(path / DATA, 0, f"LMDB says: {error}") from error


class LmdbCheckpoint:
    """Implements durability.Checkpoint. The write transaction belongs to the thread that calls write and commit."""

    def __init__(
        self,
        store: LmdbStore,
        environment: Any,
        tables: Tables,
        path: Path,
        frozen: Overlay,
        index: int,
    ) -> None:
        self.index = index
        self._store = store
        self._environment = environment
        self._tables = tables
        self._path = path
        self._slices = frozen.slices()
        self._transaction: Any = None
        self._writer: LmdbRows

    def write(self) -> bool:
        try:
            if self._transaction is None:
                self._environment.reader_check()  # what a process saw that was killed as it looked would never be freed
                self._transaction = self._environment.begin(write=True)
                self._writer = LmdbRows(self._environment, self._tables, self._transaction)
            parts, is_last = next(self._slices)
            for table, rows in parts:
                self._writer.write(table, rows)
            if is_last:
                self._writer.finish()
        except lmdb.Error as error:
            self.abort()
            raise translated(error, self._path) from error
        except CorruptData:  # in a bucket that a row is added to
            self.abort()
            raise
        return is_last

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
        self._store.end_checkpoint(committed=committed)


class LmdbRestore:
    """Implements durability.SnapshotWriter: builds an environment that is not in use yet."""

    def __init__(self, store: LmdbStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._decoder = StreamDecoder(f"snapshot for {path}")
        self._environment: Any = None
        self._tables: Tables
        self._unfinished: Any = None
        """Of LmdbRows: its rows come in many chunks, each of which would write all of it again."""
        self._doomed: Path | None = None
        """The environment that nobody needs any more: this one, or the one before."""

    def write(self, chunk: bytes) -> None:
        rows = self._decoder.feed(chunk)
        try:
            if self._environment is None:
                self._environment = open_environment(self._path, is_draft=True)
                self._tables = open_tables(self._environment)
            with self._environment.begin(write=True) as transaction:
                writer = LmdbRows(self._environment, self._tables, transaction)
                writer.unfinished = self._unfinished
                for table, group in groupby(rows, itemgetter(0)):
                    writer.write(Table(table), [(key, value) for _, key, value in group])
                if self._decoder.is_complete:
                    writer.finish()
                self._unfinished = writer.unfinished
        except lmdb.Error as error:
            raise translated(error, self._path) from error

    def commit(self) -> None:
        self._decoder.check_complete()
        try:
            self._environment.sync(True)
            self._environment.close()
            self._environment = None
            self._environment, self._tables = _opened(self._path)
            self._store.make_current(self._path.name)
        except (lmdb.Error, OSError) as error:
            raise translated(error, self._path) from error

    def swap(self) -> None:
        self._doomed, self._environment = self._store.exchange(
            self._path, self._environment, self._tables
        )

    def abort(self) -> None:
        self._close()
        if self._store.current() != self._path.name:
            self._doomed = self._path

    @property
    def has_leftovers(self) -> bool:
        return self._doomed is not None

    def clean(self) -> None:
        self._close()
        if self._doomed is not None and remove_piece(self._doomed):
            self._doomed = None

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
