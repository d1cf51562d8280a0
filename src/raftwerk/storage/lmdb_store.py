"""The store on disk: LMDB, with what is not written yet in memory over it.

Writes go to an overlay; a checkpoint freezes it and writes it out in one synced transaction, while a new overlay takes
the next writes. Reads look into the overlay, the frozen one, and LMDB, in this order; for rows of KEYS, into what is not in its
place yet (storage/changes.py), and LMDB. So reads always see every write, and what is on disk is always a whole state with its
position: LMDB's copy-on-write tree survives a power cut at any point.

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
from raftwerk.storage.changes import DEFAULT_PACE, IN_PLACE, Changes, Pace
from raftwerk.storage.lmdb_checkpoint import LmdbCheckpoint
from raftwerk.storage.lmdb_environment import (
    DATA,
    is_out_of_space,
    lengthen,
    missing_bytes,
    open_environment,
    remove_piece,
    translated,
)
from raftwerk.storage.lmdb_rows import LmdbRows
from raftwerk.storage.lmdb_tables import Tables, open_tables
from raftwerk.storage.lmdb_whole import is_whole
from raftwerk.storage.overlay import Overlay, SortedTable, merged, merged_rows, with_deleted
from raftwerk.storage.reader import StreamReader
from raftwerk.storage.recent import Recent
from raftwerk.storage.stream import Row, StreamDecoder

CURRENT: Final = "CURRENT"
FORMAT: Final = "3"
"""Of all that stands in the folder, the machine's rows included: another one with any change to docs/store-format.md."""
OLDER_FORMAT: Final = "2"
"""The same, without the tables of what is noted of KEYS: it becomes one of the present format when it is opened to be written."""

_NAME: Final = re.compile(r"data-[0-9]{6,}")
"""Of an environment."""


_KEYS: Final = Table.KEYS
PAUSE_ROWS: Final = 2000
"""Of KEYS, noted or in their places, in one read of a snapshot: some five milliseconds."""


class LmdbStore(Store):
    """The store on disk. One instance owns its folder: the data folder's lock sees to that."""

    def __init__(self, folder: Path, *, read_only: bool = False, pace: Pace = DEFAULT_PACE) -> None:
        """Open the store in `folder`, or make a new one. Raises CorruptData or DataDirError.

        read_only: look at the last checkpoint of a folder that may be in use; nothing can be written.
        """
        self._folder = folder
        self._pace = pace
        if not read_only:
            make_directory(folder)
            if not (folder / CURRENT).exists():
                self.make_current("data-000001")
        name, version = self.current()
        if version != FORMAT and not read_only:
            self.make_current(name)
        self._path = folder / name
        self._last_number = int(self._path.name.removeprefix("data-"))
        if not read_only:
            self._remove_leftovers()
        self._is_under_way = False
        self.on_damage: Callable[[CorruptData], None] | None = None
        """Gets each CorruptData that a reader meets, in its thread, before it is raised."""
        self._readers: set[LmdbRows] = set()
        """Of snapshots that are open."""
        environment, tables = _opened(self._path, read_only=read_only)
        try:
            self._use(environment, tables)
        except CorruptData:
            self._base.close()
            environment.close()
            raise

    def current(self) -> tuple[str, str]:
        """The environment that a start would open, and the format."""
        path = self._folder / CURRENT
        try:
            name, _, version = path.read_text().strip().partition(" ")
        except OSError as error:
            raise DataDirError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CorruptData(path, error.start, "this is no text") from error
        if not _NAME.fullmatch(name) or not (self._folder / name).is_dir():
            raise CorruptData(path, 0, f"it names {name!r}, which is not there")
        if version not in (FORMAT, OLDER_FORMAT):
            raise DataDirError(
                f"{path} says that the store is of format {version or 'unknown'}; this version of raftwerk reads format "
                f"{FORMAT}, and {OLDER_FORMAT}. Use the version that wrote it."
            )
        return name, version

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
        self._overlay = Overlay()
        """Of all tables but KEYS."""
        self._frozen: Overlay | None = None
        self._past = Overlay()
        """What was the frozen one, if it was large: the next checkpoint gives its memory back."""
        self._changes = Changes(self._pace)
        notes = self._base.notes()
        for generation in notes.generations():
            self._changes.load(generation, notes.read(generation))
        self._recent = Recent()
        """Rows of KEYS that were read in their places."""

    def _tell_damage(self, error: CorruptData) -> None:
        if self.on_damage is not None:
            self.on_damage(error)

    # Rows

    def get(self, table: Table, key: bytes) -> bytes | None:
        if table is _KEYS:
            return self._key_row(key)
        rows = self._overlay.tables[table].rows
        if key in rows:
            return rows[key]
        if self._frozen is not None:
            rows = self._frozen.tables[table].rows
            if key in rows:
                return rows[key]
        return self._base.get(table, key)

    def _key_row(self, key: bytes) -> bytes | None:
        row = self._changes.get(key)
        if row is not IN_PLACE:
            return row
        row = self._recent.get(key)
        if row is None:
            row = self._base.get(_KEYS, key)
            if row is not None:
                self._recent.put(key, row)
        return row

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        if table is _KEYS:
            self._changes.put(key, value)
            self._recent.forget(key)
        else:
            self._overlay.tables[table].put(key, value)

    def delete(self, table: Table, key: bytes) -> None:
        if table is _KEYS:
            self._changes.put(key, None)
            self._recent.forget(key)
        else:
            self._overlay.tables[table].put(key, None)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        newer = self._newer(table)
        base = self._base.scan(table, start, stop, reverse=reverse)
        return merged(base, newer, start, stop, reverse=reverse) if newer else base

    def scan_with_gaps(
        self, table: Table, start: bytes, stop: bytes | None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        base = self._base.scan(table, start, stop)
        return with_deleted(base, self._newer(table), start, stop)

    def _newer(self, table: Table) -> list[SortedTable]:
        """What lies over the rows that are in their places, the newest last."""
        if table is _KEYS:
            return self._changes.layers()
        overlays = [layer for layer in (self._frozen, self._overlay) if layer is not None]
        return [layer.tables[table] for layer in overlays if len(layer.tables[table].rows)]

    # Checkpoints and snapshots

    def begin_checkpoint(self, index: int) -> LmdbCheckpoint | None:
        is_empty = self._overlay.is_empty() and self._changes.is_empty()
        if self._is_under_way or (is_empty and not self._past.is_large):
            return None
        assert self._frozen is None
        self._is_under_way = True
        frozen, self._overlay = self._overlay, Overlay()
        self._frozen = frozen
        portion = self._changes.take_portion()

        def end(committed: bool) -> None:
            self._is_under_way = False
            self._frozen = None
            self._changes.finish(portion, committed=committed)
            if committed:
                self._past = frozen if frozen.is_large else Overlay()
                self._base.renew()
            else:
                frozen.add_newer(self._overlay)  # the few rows to the many: this holds up the loop
                self._overlay = frozen

        return LmdbCheckpoint(
            self._environment, self._tables, self._path, index, frozen, portion, self._past, end
        )

    def open_snapshot(self) -> StreamReader:
        rows = LmdbRows(self._environment, self._tables)
        self._readers.add(rows)
        position = rows.get(Table.META, b"position") or b""
        return StreamReader(_all_rows(rows), position, lambda: self._close_reader(rows))

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
        assert not self._is_under_way, "a checkpoint is under way"
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
        return self._overlay.size_bytes + self._changes.pending_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        return self._base.size_bytes

    def close(self) -> None:
        self._end_reading()
        self._environment.close()


def _all_rows(rows: LmdbRows) -> Iterator[Row | None]:
    """Those of KEYS last, which takes longer. None: this is enough for one read."""
    for table in Table:
        if table is not _KEYS:
            for key, value in rows.scan(table, b"", None):
                yield int(table), key, value
    notes, newer, count = rows.notes(), SortedTable(), 0
    for generation in notes.generations():
        for key, row in notes.read(generation):
            newer.put(key, row)
            count += 1
            if count % PAUSE_ROWS == 0:
                yield None
    placed: Iterator[tuple[bytes, bytes | None]] = rows.scan(_KEYS, b"", None)
    for key, row in merged_rows(newer.items(b"", None), placed, reverse=False):
        if row is not None:
            yield int(_KEYS), key, row
        count += 1
        if count % PAUSE_ROWS == 0:
            yield None


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
        if self._store.current()[0] != self._path.name:
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
