"""The disk port: the few things that the log asks of one directory, each durable when it returns.

OsDisk is the real one. The simulator and the tests have their own (tests/fakes/disk.py), which crash, tear, fill and rot;
all pass one contract test.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from raftwerk.directories import make_directory, sync_directory
from raftwerk.errors import DiskFailed, DiskFull

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ZEROS: Final = bytes(64 * 1024)
"""Written at once: the kernel may keep in one piece what came in one, and small writes to a large one cost more."""
_SYNCED_BYTES: Final = 1024 * 1024
"""Of zeros: the log's writes wait behind what the disk is given."""
NEW: Final = ".new"
"""At the end of a name: what `create` has not completed, or may take."""
RWF_DSYNC: Final = getattr(os, "RWF_DSYNC", 0)


class File(Protocol):
    """One open file of fixed size."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; fewer at the end of the file."""

    def write_durable(self, buffers: Sequence[bytes], offset: int) -> None:
        """Write the buffers one after the other at `offset`: on stable storage when it returns.

        Raises DiskFailed; what the file then holds there is unknown.
        """

    def close(self) -> None: ...


class Disk(Protocol):
    """One directory."""

    def names(self) -> list[str]:
        """The files in it, sorted."""

    def create(self, name: str, size: int) -> File:
        """A new file of `size` zeros, whose space is really there. It and its name are durable.

        Raises DiskFull (nothing is left behind) or DiskFailed.
        """

    def open(self, name: str, *, read_only: bool = False) -> File: ...

    def rename(self, old: str, new: str) -> None:
        """Durably."""

    def remove(self, name: str) -> None:
        """Durably."""

    def retire(self, name: str, successor: str) -> None:
        """Remove a file, durably. Its space is kept: `create(successor)` takes it, if it is of that size, and needs no other."""


def _raise_translated(error: OSError, action: str, path: Path) -> None:
    if error.errno in _NO_SPACE:
        raise DiskFull(f"no space left to {action} {path}: {error.strerror}") from error
    raise DiskFailed(_failed_text(error, action, path)) from error


def _failed_text(error: OSError, action: str, path: Path) -> str:
    return (
        f"could not {action} {path}: {error.strerror or error}. The node stops, because what the disk holds there is "
        "unknown; check the disk before it starts again."
    )


def _write_zeros(fd: int, size: int) -> None:
    """Blocks that were written once sync faster; and of what a retired file holds nothing may be left."""
    for start in range(0, size, _SYNCED_BYTES):
        for offset in range(start, min(start + _SYNCED_BYTES, size), len(_ZEROS)):
            os.pwrite(fd, _ZEROS[: size - offset], offset)
        os.fsync(fd)


class OsFile:
    """A file of the operating system."""

    def __init__(self, path: Path, flags: int, *, dsync_flag: int = RWF_DSYNC) -> None:
        """dsync_flag: of pwritev, writes and syncs in one call; 0: two calls."""
        self._path = path
        self._fd = os.open(path, flags | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size
        self._dsync_flag = dsync_flag

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._fd, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def write_durable(self, buffers: Sequence[bytes], offset: int) -> None:
        try:
            self._write(b"".join(buffers) if len(buffers) > 1 else buffers[0], offset)
        except OSError as error:
            _raise_translated(error, "write", self._path)

    def _write(self, data: bytes, offset: int) -> None:
        # One system call writes and syncs: the interpreter's lock changes hands once
        while data:
            if self._dsync_flag:
                try:
                    written = os.pwritev(self._fd, [data], offset, self._dsync_flag)
                except OSError as error:
                    if error.errno != errno.EOPNOTSUPP:
                        raise
                    self._dsync_flag = 0  # an older kernel or another file system: two calls
                    continue
            else:
                written = os.pwrite(self._fd, data, offset)
            data = data[written:]
            offset += written
        if not self._dsync_flag:
            os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class OsDisk:
    """A directory of the operating system; it is made if it is not there."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.directory = directory
        if not read_only:
            make_directory(directory)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def create(self, name: str, size: int) -> OsFile:
        path = self.directory / name
        draft = self.directory / f"{name}{NEW}"
        try:
            fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(fd).st_size != size:
                    os.ftruncate(fd, 0)
                os.posix_fallocate(fd, 0, size)
                _write_zeros(fd, size)
            finally:
                os.close(fd)
            draft.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            _raise_translated(error, "create", path)
        self._sync()
        return self.open(name)

    def open(self, name: str, *, read_only: bool = False) -> OsFile:
        return OsFile(self.directory / name, os.O_RDONLY if read_only else os.O_RDWR)

    def rename(self, old: str, new: str) -> None:
        try:
            (self.directory / old).rename(self.directory / new)
        except OSError as error:
            _raise_translated(error, "rename", self.directory / old)
        self._sync()

    def remove(self, name: str) -> None:
        try:
            (self.directory / name).unlink()
        except OSError as error:
            _raise_translated(error, "remove", self.directory / name)
        self._sync()

    def retire(self, name: str, successor: str) -> None:
        self.rename(name, f"{successor}{NEW}")

    def _sync(self) -> None:
        # Even for want of space: the change took place, and may not be durable
        try:
            sync_directory(self.directory)
        except OSError as error:
            raise DiskFailed(_failed_text(error, "sync", self.directory)) from error
