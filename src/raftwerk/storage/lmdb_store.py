"""The store on disk: LMDB, with what is not written yet in memory over it.

Writes go to an overlay; a checkpoint freezes it and writes it out in one synced transaction, while a new overlay takes
the next writes. Reads look into the overlay, the frozen one, and LMDB, in this order. So reads always see every write,
and what is on disk is always a whole state with its position: LMDB's copy-on-write tree survives a power cut at any
point.

The environment lives in a folder of its own, named by the file CURRENT; a restored snapshot is built in another folder
and takes its place by replacing CURRENT.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import lmdb

from raftwerk.errors import CorruptData, DataDirError, DiskFailed, DiskFull, RaftwerkError
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_rows import LmdbRows, Tables, open_tables
from raftwerk.storage.overlay import Overlay, SortedTable
from raftwerk.storage.reader import StreamReader
from raftwerk.storage.stream import Row, StreamDecoder

MAP_BYTES: Final = 256 * 1024**3
"""Address space, not memory or disk: the largest store. LMDB's file grows as it is filled."""
SPACE_BYTES_MIN: Final = 32 * 1024 * 1024
"""With less free space than this a checkpoint may not fit."""
SLICE_ROWS: Final = 300
"""Written while the loop waits: about a millisecond."""
CURRENT: Final = "CURRENT"
FORMAT: Final = "1"
"""Of all that stands in the folder, the machine's rows included: another one with any change to docs/store-format.md."""


def translated(error: Exception, path: Path) -> RaftwerkError:
    """LMDB's error as one of ours: full (nothing is lost) or failed (stop)."""
    if isinstance(error, lmdb.MapFullError) or _is_out_of_space(str(error), path):
        return DiskFull(f"no space left to write the store {path}: {error}")
    return DiskFailed(
        f"the store {path} cannot be written: {error}. The node stops; check the disk before it starts again."
    )


def _is_out_of_space(text: str, path: Path) -> bool:
    if os.strerror(errno.ENOSPC) in text or os.strerror(errno.EDQUOT) in text:
        return True
    # The disk became full in the middle of a write: LMDB calls a write that was cut short an I/O error. To try again
    # is safe even if it was one: what a commit did not complete is written anew.
    space = os.statvfs(path)
    return os.strerror(errno.EIO) in text and space.f_bavail * space.f_frsize < SPACE_BYTES_MIN


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_environment(path: Path, *, is_draft: bool = False, read_only: bool = False) -> Any:
    """An LMDB environment. is_draft: do not sync until told to. Raises CorruptData when it cannot be one."""
    if not read_only:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        environment = lmdb.open(
            str(path),
            map_size=MAP_BYTES,
            max_dbs=len(Table) + 1,
            sync=not is_draft,
            readonly=read_only,
            meminit=False,
            readahead=False,
            mode=0o600,
        )
    except lmdb.Error as error:
        if "Cannot allocate" in str(error) or isinstance(error, lmdb.LockError):
            raise DataDirError(f"{path} cannot be opened: {error}") from error
        if _is_out_of_space(str(error), path):
            raise translated(error, path) from error
        raise CorruptData(path / "data.mdb", 0, f"LMDB says: {error}") from error
    if not read_only:
        _sync_directory(path)  # LMDB does not see to the names of its files
    # LMDB maps the file: a page beyond its end would end the process, so that a cut-off file is refused here
    size = (path / "data.mdb").stat().st_size
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < needed and environment.stat()["entries"]:
        environment.close()
        raise CorruptData(path / "data.mdb", size, f"the file ends here, {needed} bytes are needed")
    return environment


class LmdbStore:
    """Implements kv.store.Store. One instance owns its folder: the data folder's lock sees to that."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the store in `folder`, or make a new one. Raises CorruptData or DataDirError.

        read_only: look at the last checkpoint of a folder that may be in use; nothing can be written.
        """
        self._folder = folder
        self._is_read_only = read_only
        if not read_only:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / CURRENT).exists():
                self._write_current("data-000001")
        self._path = folder / self._read_current()
        self._removal: threading.Thread | None = None
        if not read_only:
            self._remove_leftovers()
        self._open()
        self._under_way: LmdbCheckpoint | None = None

    def _read_current(self) -> str:
        path = self._folder / CURRENT
        try:
            name, _, version = path.read_text().strip().partition(" ")
        except OSError as error:
            raise DataDirError(f"{path} cannot be read: {error.strerror}") from error
        if not name.startswith("data-") or not (self._folder / name).is_dir():
            raise CorruptData(path, 0, f"it names {name!r}, which is not there")
        if version != FORMAT:
            raise DataDirError(
                f"{path} says that the store is of format {version or 'unknown'}; this version of raftwerk reads format "
                f"{FORMAT}. Use the version that wrote it."
            )
        return name

    def _write_current(self, name: str) -> None:
        (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        draft = self._folder / f"{CURRENT}.new"
        with draft.open("w") as file:
            file.write(f"{name} {FORMAT}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / CURRENT)
        _sync_directory(self._folder)

    def _remove_leftovers(self) -> None:
        for path in self._folder.iterdir():
            if path.name.startswith("data-") and path != self._path:
                shutil.rmtree(path)

    def _remove_beside(self, path: Path) -> None:
        """Without waiting for it: the file system takes its time for a large file. A crash leaves it to the next start."""
        self._removal = threading.Thread(
            target=shutil.rmtree, args=(path,), kwargs={"ignore_errors": True}, name="removal"
        )
        self._removal.start()

    def _open(self) -> None:
        self._environment = open_environment(self._path, read_only=self._is_read_only)
        try:
            self._tables = open_tables(self._environment)
            self._base = LmdbRows(self._environment, self._tables)
        except lmdb.Error as error:
            self._environment.close()
            if _is_out_of_space(str(error), self._path):
                raise translated(error, self._path) from error
            raise CorruptData(self._path / "data.mdb", 0, f"LMDB says: {error}") from error
        self._overlay = Overlay()
        self._frozen: Overlay | None = None

    # Rows

    def get(self, table: Table, key: bytes) -> bytes | None:
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

    def delete(self, table: Table, key: bytes) -> None:
        self._overlay.tables[table].put(key, None)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        base = self._base.scan(table, start, stop, reverse=reverse)
        overlays = [layer for layer in (self._frozen, self._overlay) if layer is not None]
        newer = [layer.tables[table] for layer in overlays if layer.tables[table].rows]
        return _merged(base, newer, start, stop, reverse=reverse) if newer else base

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
        position = rows.get(Table.META, b"position") or b""

        def all_rows() -> Iterator[Row]:
            for table in Table:
                for key, value in rows.scan(table, b"", None):
                    yield int(table), key, value

        return StreamReader(all_rows(), position, rows.close)

    def begin_restore(self) -> "LmdbRestore":
        number = int(self._path.name.removeprefix("data-")) + 1
        path = self._folder / f"data-{number:06d}"
        shutil.rmtree(path, ignore_errors=True)
        return LmdbRestore(self, path)

    def switch_to(self, path: Path) -> None:
        """Called by the restore: use this environment from now on, durably. The overlay belongs to the old state."""
        assert self._under_way is None, "a checkpoint is under way"
        self._write_current(path.name)
        old = self._path
        self._base.close()
        self._environment.close()
        self._path = path
        self._open()
        self._remove_beside(old)

    @property
    def pending_bytes(self) -> int:
        return self._overlay.size_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        return self._base.size_bytes

    def close(self) -> None:
        self._base.close()
        self._environment.close()
        if self._removal is not None:
            self._removal.join()


def _merged(
    base: Iterator[tuple[bytes, bytes]],
    newer: list[SortedTable],
    start: bytes,
    stop: bytes | None,
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """The base under the newer tables, the newest last."""
    rows: Iterator[tuple[bytes, bytes | None]] = base
    for table in newer:
        rows = _merge(table.items(start, stop, reverse=reverse), rows, reverse=reverse)
    for key, value in rows:
        if value is not None:
            yield key, value


def _merge(
    newer: Iterator[tuple[bytes, bytes | None]],
    older: Iterator[tuple[bytes, bytes | None]],
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes | None]]:
    """Both in order; of equal keys, the newer one's row."""
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
        self._frozen = frozen
        self._rows = self._all_rows()
        self._transaction: Any = None
        self._writer: LmdbRows

    def _all_rows(self) -> Iterator[tuple[Table, bytes, bytes | None]]:
        for table in Table:
            for key, value in self._frozen.tables[table].items(b"", None):
                yield table, key, value

    def write(self) -> bool:
        try:
            if self._transaction is None:
                self._transaction = self._environment.begin(write=True)
                self._writer = LmdbRows(self._environment, self._tables, self._transaction)
            for count, (table, key, value) in enumerate(self._rows, 1):
                self._writer.write(table, key, value)
                if count >= SLICE_ROWS:
                    return False
        except lmdb.Error as error:
            self.abort()
            raise translated(error, self._path) from error
        return True

    def commit(self) -> None:
        try:
            self._transaction.commit()
        except lmdb.Error as error:
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

    def write(self, chunk: bytes) -> None:
        rows = self._decoder.feed(chunk)
        try:
            if self._environment is None:
                self._environment = open_environment(self._path, is_draft=True)
                self._tables = open_tables(self._environment)
            with self._environment.begin(write=True) as transaction:
                writer = LmdbRows(self._environment, self._tables, transaction)
                for table, key, value in rows:
                    writer.write(Table(table), key, value)
        except lmdb.Error as error:
            raise translated(error, self._path) from error

    def commit(self) -> None:
        self._decoder.check_complete()
        try:
            self._environment.sync(True)
        except lmdb.Error as error:
            raise translated(error, self._path) from error
        self._environment.close()
        self._environment = None

    def swap(self) -> None:
        self._store.switch_to(self._path)

    def abort(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
        shutil.rmtree(self._path, ignore_errors=True)
