"""One LMDB environment: what errors of the disk mean, and how a large one goes away."""

import errno
import os
from pathlib import Path

import lmdb
import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.storage.lmdb_environment import (
    LOCK_BYTES,
    REMOVED_BYTES,
    open_environment,
    remove_piece,
    translated,
)


def test_large_environment_is_removed_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "data-000001"
    open_environment(path).close()
    os.truncate(path / "data.mdb", 2 * REMOVED_BYTES + 1)
    assert not remove_piece(path)
    assert (path / "data.mdb").stat().st_size == REMOVED_BYTES + 1
    assert not remove_piece(path)
    assert remove_piece(path)
    assert not path.exists()
    assert remove_piece(path), "nothing is there to be removed"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lmdb.MapFullError("full"), DiskFull),
        (lmdb.DiskError(os.strerror(errno.ENOSPC)), DiskFull),
        (lmdb.DiskError(os.strerror(errno.EDQUOT)), DiskFull),
        (lmdb.DiskError(os.strerror(errno.EIO)), DiskFailed),
    ],
    ids=["map full", "no space", "over quota", "io error"],
)
def test_errors_of_the_disk_are_full_or_failed(
    tmp_path: Path, error: Exception, kind: type[Exception]
) -> None:
    assert type(translated(error, tmp_path)) is kind


def test_space_of_the_readers_table_is_there_before_it_is_mapped(tmp_path: Path) -> None:
    """On a full disk a hole in a mapped file ends the process that writes there."""
    open_environment(tmp_path).close()
    lock = (tmp_path / "lock.mdb").stat()
    assert lock.st_blocks * 512 >= lock.st_size == LOCK_BYTES
