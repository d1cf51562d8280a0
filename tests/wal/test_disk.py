"""The contract of the disk port, kept by the real disk, the fake one and the simulated one; and what only the real one does."""

import contextlib
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import SimDisk
from raftwerk.wal.disk import Disk, OsDisk, OsFile
from tests.fakes.disk import FakeDisk
from tests.fakes.system_calls import calls_during

LIMIT = 8192


@contextlib.contextmanager
def _files_limited() -> Iterator[None]:
    """No file of this process may grow beyond LIMIT: the kernel answers as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def _capacity_limited(disk: FakeDisk) -> Iterator[None]:
    disk.capacity = LIMIT
    yield
    disk.capacity = None


FullDisk = Callable[[], AbstractContextManager[None]]


@contextlib.contextmanager
def _simulated_full(disk: SimDisk) -> Iterator[None]:
    disk.is_full = True
    yield
    disk.is_full = False


@pytest.fixture(params=["real", "fake", "simulated"])
def disk_and_full(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Disk, FullDisk]:
    """A disk, and a context in which it has no room for more than LIMIT bytes."""
    if request.param == "real":
        return OsDisk(tmp_path / "disk"), _files_limited
    if request.param == "simulated":
        simulated = SimDisk(Random(1), Coverage())
        return simulated, lambda: _simulated_full(simulated)
    fake = FakeDisk()
    return fake, lambda: _capacity_limited(fake)


@pytest.fixture
def disk(disk_and_full: tuple[Disk, FullDisk]) -> Disk:
    return disk_and_full[0]


def test_created_file_is_zeros_of_the_whole_size(disk: Disk) -> None:
    file = disk.create("a.wal", 3 * 1024 * 1024 + 5)
    assert file.size == 3 * 1024 * 1024 + 5
    assert file.read(0, file.size) == bytes(file.size)
    assert disk.names() == ["a.wal"]
    file.close()


def test_created_file_takes_the_place_of_an_older_one(disk: Disk) -> None:
    older = disk.create("a", 10)
    older.write_durable([b"old"], 0)
    older.close()
    file = disk.create("a", 20)
    assert file.read(0, 20) == bytes(20)
    file.close()


def test_buffers_are_written_one_after_the_other(disk: Disk) -> None:
    file = disk.create("a", 32)
    file.write_durable([b"one", b"", b"two"], 5)
    file.close()
    again = disk.open("a", read_only=True)
    assert again.read(0, 32) == b"\0" * 5 + b"onetwo" + b"\0" * 21
    again.close()


def test_empty_write_changes_nothing(disk: Disk) -> None:
    file = disk.create("a", 4)
    file.write_durable([b""], 4)
    assert file.read(0, 4) == bytes(4)
    file.close()


def test_read_at_the_end_returns_what_is_there(disk: Disk) -> None:
    file = disk.create("a", 4)
    assert file.read(2, 100) == b"\0\0"
    assert file.read(4, 100) == b""
    file.close()


def test_names_are_sorted(disk: Disk) -> None:
    for name in ("b", "c", "a"):
        disk.create(name, 1).close()
    assert disk.names() == ["a", "b", "c"]


def test_rename_keeps_the_content_and_replaces(disk: Disk) -> None:
    disk.create("new", 3).close()
    file = disk.create("old", 3)
    file.write_durable([b"abc"], 0)
    file.close()
    disk.rename("old", "new")
    assert disk.names() == ["new"]
    renamed = disk.open("new")
    assert renamed.read(0, 3) == b"abc"
    renamed.close()


def test_removed_file_is_gone(disk: Disk) -> None:
    disk.create("a", 1).close()
    disk.remove("a")
    assert disk.names() == []
    with pytest.raises(FileNotFoundError):
        disk.open("a")


@pytest.mark.parametrize("size", [8, 9, 3 * 1024 * 1024 + 5])
def test_retired_file_is_gone_and_its_successor_is_zeros(disk: Disk, size: int) -> None:
    retired = disk.create("a", size)
    retired.write_durable([b"x" * size], 0)
    retired.close()
    disk.retire("a", "b")
    assert "a" not in disk.names()
    assert "b" not in disk.names()
    file = disk.create("b", size)
    assert file.read(0, size + 1) == bytes(size)
    assert disk.names() == ["b"]
    file.close()


def test_retired_file_of_another_size_is_no_hindrance(disk: Disk) -> None:
    retired = disk.create("a", 100)
    retired.write_durable([b"x" * 100], 0)
    retired.close()
    disk.retire("a", "b")
    file = disk.create("b", 50)
    assert file.read(0, 100) == bytes(50)
    file.close()


def test_write_to_a_file_opened_for_reading_fails(disk: Disk) -> None:
    disk.create("a", 4).close()
    file = disk.open("a", read_only=True)
    with pytest.raises(DiskFailed, match="could not write"):
        file.write_durable([b"x"], 0)
    assert file.read(0, 4) == bytes(4)
    file.close()


def test_create_on_a_full_disk_leaves_nothing_behind(
    disk_and_full: tuple[Disk, FullDisk],
) -> None:
    disk, full = disk_and_full
    with full(), pytest.raises(DiskFull, match="no space left to create"):
        disk.create("a", 2 * LIMIT)
    assert disk.names() == []
    disk.create("a", 2 * LIMIT).close()
    assert disk.names() == ["a"]


# The real disk alone


def test_real_write_without_space_says_so() -> None:
    """/dev/full answers every write with ENOSPC."""
    file = OsFile(Path("/dev/full"), os.O_RDWR)
    with pytest.raises(DiskFull, match="No space left on device"):
        file.write_durable([b"x"], 0)
    file.close()


@pytest.mark.parametrize("dsync_flag", [getattr(os, "RWF_DSYNC", 0), 0, 1 << 30], ids=hex)
def test_real_write_works_with_and_without_the_system_call_that_syncs(
    tmp_path: Path, dsync_flag: int
) -> None:
    """A flag that the kernel does not know is answered with EOPNOTSUPP, as by an older one."""
    (tmp_path / "a").write_bytes(bytes(8))
    file = OsFile(tmp_path / "a", os.O_RDWR, dsync_flag=dsync_flag)
    file.write_durable([b"ab", b"cd"], 2)
    file.write_durable([b"e"], 6)
    file.close()
    assert (tmp_path / "a").read_bytes() == b"\0\0abcde\0"


def test_real_create_syncs_the_file_before_its_name_and_then_the_name(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path)
    calls = calls_during(lambda: disk.create("a", 100).close())
    assert calls == ["posix_fallocate", "fsync", "rename", "fsync"]


def test_real_rename_and_remove_sync_the_directory(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path)
    disk.create("a", 1).close()
    assert calls_during(lambda: disk.rename("a", "b")) == ["rename", "fsync"]
    assert calls_during(lambda: disk.remove("b")) == ["unlink", "fsync"]


def test_real_successor_of_a_retired_file_takes_its_blocks(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path)
    disk.create("a", LIMIT).close()
    retired = (tmp_path / "a").stat().st_ino
    assert calls_during(lambda: disk.retire("a", "b")) == ["rename", "fsync"]
    disk.create("b", LIMIT).close()
    assert (tmp_path / "b").stat().st_ino == retired


def test_real_write_syncs_before_it_returns(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(8))
    file = OsFile(tmp_path / "a", os.O_RDWR, dsync_flag=0)
    assert calls_during(lambda: file.write_durable([b"x"], 0)) == ["fdatasync"]
    file.close()


def test_real_space_is_allocated_not_promised(tmp_path: Path) -> None:
    """Preallocation: the blocks are there, so that a later write cannot find the disk full."""
    disk = OsDisk(tmp_path)
    disk.create("a", 1024 * 1024).close()
    assert (tmp_path / "a").stat().st_blocks * 512 >= 1024 * 1024


def test_real_disk_opened_for_reading_makes_no_directory(tmp_path: Path) -> None:
    disk = OsDisk(tmp_path / "none", read_only=True)
    with pytest.raises(FileNotFoundError):
        disk.names()


def test_real_errors_other_than_missing_space_stop_the_node(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    disk = OsDisk(tmp_path / "file", read_only=True)
    with pytest.raises(DiskFailed, match="check the disk before it starts again"):
        disk.create("a", 1)
    with pytest.raises(DiskFailed, match="could not rename"):
        disk.rename("a", "b")
    with pytest.raises(DiskFailed, match="could not remove"):
        disk.remove("a")
