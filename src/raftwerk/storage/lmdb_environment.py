"""One LMDB environment: opened, or refused with the reason; and removed, a bounded piece at a time."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Final

import lmdb

from raftwerk.directories import make_directory, sync_directory
from raftwerk.errors import CorruptData, DataDirError, DiskFailed, DiskFull, RaftwerkError
from raftwerk.kv.store import Table

MAP_BYTES: Final = 256 * 1024**3
"""Address space, not memory or disk: the largest store. LMDB's file grows as it is filled."""
SPACE_BYTES_MIN: Final = 32 * 1024 * 1024
"""With less free space than this a checkpoint may not fit."""
REMOVED_BYTES: Final = 64 * 1024 * 1024
"""At a time: to free the blocks of a large file at once holds up whoever waits for the disk."""

GENERATIONS: Final = 2
"""Of what is noted (storage/changes.py)."""
DATABASES: Final = len(Table) + GENERATIONS
"""One for each table, and for each generation."""

DATA: Final = "data.mdb"
LOCK: Final = "lock.mdb"
LOCK_BYTES: Final = 8192
"""Of LMDB's table of 126 readers."""


def translated(error: Exception, path: Path) -> RaftwerkError:
    """LMDB's error as one of ours: full (nothing is lost) or failed (stop)."""
    if isinstance(error, lmdb.MapFullError) or is_out_of_space(str(error), path):
        return DiskFull(f"no space left to write the store {path}: {error}")
    return DiskFailed(
        f"the store {path} cannot be written: {error}. The node stops; check the disk before it starts again."
    )


def is_out_of_space(text: str, path: Path) -> bool:
    """Whether that is what an error says of a write there."""
    if os.strerror(errno.ENOSPC) in text or os.strerror(errno.EDQUOT) in text:
        return True
    # The disk became full in the middle of a write: LMDB calls a write that was cut short an I/O error. To try again
    # is safe even if it was one: what a commit did not complete is written anew.
    space = os.statvfs(path)
    return os.strerror(errno.EIO) in text and space.f_bavail * space.f_frsize < SPACE_BYTES_MIN


def open_environment(path: Path, *, is_draft: bool = False, read_only: bool = False) -> Any:
    """An LMDB environment. is_draft: do not sync until told to. Raises CorruptData when it cannot be one, DiskFull."""
    if not read_only:
        make_directory(path)
        _allocate_lock(path)
    try:
        environment = lmdb.open(
            str(path),
            map_size=MAP_BYTES,
            max_dbs=DATABASES,
            sync=not is_draft,
            readonly=read_only,
            meminit=False,
            readahead=False,
            mode=0o600,
        )
    except lmdb.Error as error:
        if "Cannot allocate" in str(error) or isinstance(error, lmdb.LockError):
            raise DataDirError(f"{path} cannot be opened: {error}") from error
        if is_out_of_space(str(error), path):
            raise translated(error, path) from error
        raise CorruptData(path / DATA, 0, f"LMDB says: {error}") from error
    if not read_only:
        sync_directory(path)  # LMDB does not see to the names of its files
    return environment


def _allocate_lock(path: Path) -> None:
    """LMDB maps this file without asking for its space: a full disk would end the process. Raises DiskFull."""
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_size < LOCK_BYTES:
            os.posix_fallocate(fd, 0, LOCK_BYTES)
    except OSError as error:
        raise translated(error, path) from error
    finally:
        os.close(fd)


def missing_bytes(environment: Any, path: Path) -> int:
    """How much shorter the file is than its pages are many.

    LMDB maps it: a page beyond its end would end the process. Of a whole file only pages are missing that the last transaction
    took at the end and gave back: LMDB does not write them. In a file that was cut off, others are missing too.
    """
    needed: int = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    return max(0, needed - (path / DATA).stat().st_size)


def lengthen(environment: Any, path: Path) -> None:
    """Let the file have all its pages, those that hold nothing too."""
    missing = missing_bytes(environment, path)
    if missing:
        os.truncate(path / DATA, (path / DATA).stat().st_size + missing)


def remove_piece(path: Path) -> bool:
    """Remove a bounded part of an environment that nobody has open. Returns whether nothing is left of it."""
    data = path / DATA
    size = data.stat().st_size if data.exists() else 0
    if size > REMOVED_BYTES:
        os.truncate(data, size - REMOVED_BYTES)
        return False
    shutil.rmtree(path, ignore_errors=True)
    return True
