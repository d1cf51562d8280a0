"""A disk that is full: nothing is lost, and later it goes on. A disk that fails: nothing is tried again."""

from collections.abc import Callable

import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.raft.effects import Persist
from raftwerk.wal.log import ROOM_BYTES, Job
from raftwerk.wal.recovery import scan
from raftwerk.wal.segment import HEADER_BYTES, name_of
from tests.fakes.disk import FakeDisk, FakeFile
from tests.wal.logs import (
    SEGMENT_BYTES,
    Writer,
    begin_segment,
    check_reopened,
    entries,
    is_recovered,
    open_wal,
)

FIRST = name_of(1)


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


# A full disk


def test_full_disk_is_noticed_before_it_hurts(disk: FakeDisk) -> None:
    """No spare segment, and the present one nearly full: what was accepted still fits."""
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.capacity = 2 * SEGMENT_BYTES
    writer.wal.reserve().run()
    assert writer.wal.needs_reserve
    while writer.wal.has_room:
        writer.append(1, size=100)
    assert SEGMENT_BYTES - scan(disk, "wal", 2, is_last=True).stop > SEGMENT_BYTES // 4
    writer.append(1, size=100)
    check_reopened(disk, writer)


def test_segment_that_waits_for_space_is_no_room(disk: FakeDisk) -> None:
    """It will have much, but a leader that waited for it would take in writes, and answer none."""
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.capacity = 2 * SEGMENT_BYTES
    writer.wal.reserve().run()
    while scan(disk, "wal", 2, is_last=True).stop < SEGMENT_BYTES - 300:
        writer.append(1, size=100)
    job = writer.wal.stage([writer.appending(1, size=300)])
    assert not writer.wal.has_room
    check_no_room_until_there_is_space(writer, disk, job)


def test_large_segment_that_finds_no_space_beside_a_spare_one_is_no_room(disk: FakeDisk) -> None:
    writer = Writer(disk)
    disk.capacity = 2 * SEGMENT_BYTES
    assert not writer.wal.needs_reserve
    job = writer.wal.stage([writer.appending(1, size=2 * SEGMENT_BYTES)])
    check_no_room_until_there_is_space(writer, disk, job)


def check_no_room_until_there_is_space(writer: Writer, disk: FakeDisk, job: Job) -> None:
    with pytest.raises(DiskFull):
        job.run()
    assert not writer.wal.has_room
    disk.capacity = None
    job.run()
    assert writer.wal.needs_reserve
    writer.wal.reserve().run()
    assert (writer.wal.has_room, writer.wal.needs_reserve) == (True, False)


def test_there_is_room_again_when_there_is_space_again(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.capacity = 2 * SEGMENT_BYTES
    writer.wal.reserve().run()
    while writer.wal.has_room:
        writer.append(1, size=100)
    disk.capacity = None
    writer.wal.reserve().run()
    assert writer.wal.has_room


def test_spare_that_is_not_made_yet_is_no_lack_of_space(disk: FakeDisk) -> None:
    """However full the present segment is: a fast writer must not be refused."""
    writer = Writer(disk)
    begin_segment(writer, 2)
    assert writer.wal.is_spare_taken
    while scan(disk, "wal", 2, is_last=True).stop < SEGMENT_BYTES - 300:
        writer.append(1, size=100)
        assert writer.wal.has_room


class SlowDisk(FakeDisk):
    """Others look on while a file is made."""

    look: Callable[[], None] = staticmethod(lambda: None)

    def create(self, name: str, size: int) -> FakeFile:
        self.look()
        return super().create(name, size)


def test_spare_that_is_being_made_is_no_lack_of_space() -> None:
    """A leader without room hands over."""
    disk = SlowDisk()
    writer = Writer(disk)
    begin_segment(writer, 2)
    while scan(disk, "wal", 2, is_last=True).stop < SEGMENT_BYTES - 300:
        writer.append(1, size=100)
    room: list[bool] = []
    disk.look = lambda: room.append(writer.wal.has_room)
    writer.wal.reserve().run()
    assert room == [True]


def test_room_is_four_megabytes_in_a_large_segment(disk: FakeDisk) -> None:
    disk.capacity = 4 * ROOM_BYTES
    wal, _ = open_wal(disk, segment_bytes=4 * ROOM_BYTES)
    size = 3 * ROOM_BYTES - HEADER_BYTES - 200
    wal.stage([Persist(1, 1, 0, entries=tuple(entries(1, 1, 1, size)))]).run()
    assert wal.has_room
    wal.stage([Persist(2, 1, 0, entries=tuple(entries(2, 1, 1, 200)))]).run()
    assert not wal.has_room


def test_job_that_found_no_space_may_be_run_again(disk: FakeDisk) -> None:
    """For a new segment there is none: nothing is lost, and the order is kept."""
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.capacity = 2 * SEGMENT_BYTES
    persist = writer.appending(1, size=SEGMENT_BYTES)
    job = writer.wal.stage([persist])
    for _ in range(3):
        with pytest.raises(DiskFull):
            job.run()
    check_reopened(disk, writer)
    disk.capacity = None
    job.run()
    writer.persists.append(persist)
    writer.append(1)
    check_reopened(disk, writer)


@pytest.mark.parametrize("size", [20, 1900], ids=["same segment", "new segment"])
def test_write_that_found_no_space_may_be_run_again(disk: FakeDisk, size: int) -> None:
    """Some file systems need new blocks even where a file has some; half of the group may be written then."""
    writer = Writer(disk)
    writer.append(1)
    persist = writer.appending(1, size=size)
    job = writer.wal.stage([persist])
    disk.is_write_refused = True
    for _ in range(2):
        with pytest.raises(DiskFull):
            job.run()
    disk.is_write_refused = False
    job.run()
    writer.persists.append(persist)
    check_reopened(disk, writer)


def test_crash_on_a_full_disk_loses_nothing(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.capacity = 2 * SEGMENT_BYTES
    again = disk.reboot()
    again.capacity = disk.capacity
    second = Writer(again, writer.persists)
    assert is_recovered(writer.image, second.recovered)
    assert second.wal.needs_reserve


# A broken disk


def test_failed_write_is_final(disk: FakeDisk) -> None:
    """What the file holds is unknown: it is never tried again, and no later job runs."""
    writer = Writer(disk)
    writer.append(2)
    first = writer.wal.stage([writer.appending(1)])
    second = writer.wal.stage([writer.persist(1, 1, voted_for=3)])
    disk.fails_writes = True
    with pytest.raises(DiskFailed):
        first.run()
    disk.fails_writes = False
    before = len(disk.steps)
    for job in (first, second, writer.wal.reserve()):
        with pytest.raises(DiskFailed):
            job.run()
    assert len(disk.steps) == before, "the disk was not touched"


def test_failed_write_of_a_header_is_final_too(disk: FakeDisk) -> None:
    writer = Writer(disk)
    job = writer.wal.stage([writer.appending(1, size=SEGMENT_BYTES - 600)])
    job.run()
    writer.persists.append(writer.appending(1, size=SEGMENT_BYTES - 600))
    job = writer.wal.stage([writer.appending(1, size=300)])
    disk.fails_writes = True
    with pytest.raises(DiskFailed):
        job.run()
    disk.fails_writes = False
    with pytest.raises(DiskFailed):
        job.run()
    check_reopened(disk, writer)


def test_removal_waits_for_nobody_after_a_failure(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 3)
    removal = writer.wal.compact(scan(disk, "wal", 1, is_last=False).max_index)
    assert removal is not None
    failing = writer.wal.stage([writer.appending(1)])
    disk.fails_writes = True
    with pytest.raises(DiskFailed):
        failing.run()
    with pytest.raises(DiskFailed):
        removal.run()
    assert FIRST in disk.files
