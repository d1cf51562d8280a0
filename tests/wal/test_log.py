"""The log as its owner sees it: groups, segments, compaction, and disks that are full or broken."""

import pytest

from raftwerk.errors import CorruptData, DataDirError, DiskFailed, DiskFull
from raftwerk.raft.types import Snapshot
from raftwerk.wal.log import Wal
from raftwerk.wal.recovery import scan
from raftwerk.wal.segment import HEADER_BYTES, SPARE, name_of
from tests.fakes.disk import FakeDisk
from tests.wal.logs import SEGMENT_BYTES, Writer, begin_segment, check_reopened, entries, open_wal

FIRST, SECOND, THIRD = name_of(1), name_of(2), name_of(3)


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


# Opening


def test_new_log_is_empty_and_has_a_spare_segment(disk: FakeDisk) -> None:
    wal, recovered = open_wal(disk)
    assert recovered.is_new
    assert (recovered.current_term, recovered.voted_for, recovered.log.last_index) == (0, 0, 0)
    assert disk.names() == [FIRST, SPARE]
    assert [len(data) for data in disk.files.values()] == [SEGMENT_BYTES] * 2
    assert wal.has_room


def test_opened_again_it_is_not_new(disk: FakeDisk) -> None:
    open_wal(disk)
    assert not open_wal(disk)[1].is_new


def test_half_made_files_of_a_crash_are_removed(disk: FakeDisk) -> None:
    open_wal(disk)
    disk.files[f"{SECOND}.new"] = bytearray(5)
    disk.files["0000000000000002.draft"] = bytearray(SEGMENT_BYTES)
    open_wal(disk)
    assert disk.names() == [FIRST, SPARE]


def test_spare_segment_of_another_size_is_replaced(disk: FakeDisk) -> None:
    open_wal(disk)
    disk.files[SPARE] = bytearray(SEGMENT_BYTES // 2)
    open_wal(disk)
    assert len(disk.files[SPARE]) == SEGMENT_BYTES


def test_lost_log_is_refused_and_none_is_begun(disk: FakeDisk) -> None:
    """Or the second attempt would find a log."""
    for _ in range(2):
        with pytest.raises(DataDirError, match="the log was lost"):
            Wal.open(disk, Writer.directory, 1, 1, must_exist=True)
        assert disk.names() == []


def test_new_log_on_a_full_disk_is_refused(disk: FakeDisk) -> None:
    disk.capacity = SEGMENT_BYTES - 1
    with pytest.raises(DiskFull):
        open_wal(disk)
    disk.capacity = None
    assert open_wal(disk)[1].is_new


# Writing


def test_nothing_is_on_the_disk_before_the_job_runs(disk: FakeDisk) -> None:
    writer = Writer(disk)
    before = len(disk.steps)
    job = writer.wal.stage([writer.appending(3)])
    assert len(disk.steps) == before
    job.run()
    assert disk.steps[before:] == [f"write {FIRST}"], "one write for one group"


def test_group_is_one_write_and_reports_its_last_ticket(disk: FakeDisk) -> None:
    writer = Writer(disk)
    before = len(disk.steps)
    writer.write(*writer.group())
    assert disk.steps[before:] == [f"write {FIRST}"]
    check_reopened(disk, writer)


def test_groups_may_be_staged_before_the_first_is_written(disk: FakeDisk) -> None:
    """While one is on the disk the next is prepared."""
    writer = Writer(disk)
    jobs = []
    for _ in range(12):
        persist = writer.appending(1, size=300)
        writer.persists.append(persist)
        jobs.append(writer.wal.stage([persist]))
    for job in jobs:
        job.run()
    assert THIRD in disk.files
    check_reopened(disk, writer)


def test_hard_state_alone_is_kept(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.vote(5)
    _, recovered = open_wal(disk)
    assert (recovered.current_term, recovered.voted_for) == (1, 5)


def test_conflicting_suffix_is_replaced(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(6)
    writer.replace_from(3, 2)
    _, recovered = open_wal(disk)
    log = recovered.log
    assert log.last_index == 4
    assert [log.term_at(index) for index in range(1, 5)] == [1, 1, 2, 2]
    check_reopened(disk, writer)


def test_snapshot_resets_the_log(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(6)
    writer.reset(50)
    writer.append(2)
    _, recovered = open_wal(disk)
    log = recovered.log
    assert (log.snapshot_index, log.last_index) == (50, 52)
    check_reopened(disk, writer)


def test_reset_and_entries_in_one_persist(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(3)
    snapshot = Snapshot(9, 1, b"")
    writer.write(writer.persist(2, reset_to=snapshot, entries=tuple(entries(10, 2, 2))))
    check_reopened(disk, writer)


# Segments


def test_full_segment_is_followed_by_the_spare_one(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    assert disk.names() == [FIRST, SECOND]
    assert not [step for step in disk.steps[4:] if step.startswith("create")], (
        "it was there already"
    )
    assert writer.wal.needs_reserve
    check_reopened(disk, writer)


def test_reserve_makes_a_new_spare_one(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    writer.wal.reserve().run()
    assert SPARE in disk.files
    assert not writer.wal.needs_reserve


def test_without_a_spare_one_a_segment_is_made_on_the_way(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 3)
    assert disk.names() == [FIRST, SECOND, THIRD]
    check_reopened(disk, writer)


def test_new_segment_has_its_name_only_when_its_header_is_durable(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 3)
    steps = disk.steps
    spare = steps.index(f"rename {SPARE} {SECOND}")
    assert steps[spare - 1] == f"write {SPARE}"
    made = steps.index("rename 0000000000000003.draft " + THIRD)
    assert steps[made - 2 : made] == [
        "create 0000000000000003.draft",
        "write 0000000000000003.draft",
    ]


def test_group_larger_than_a_segment_gets_one_of_its_own(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(1)
    writer.append(1, size=3 * SEGMENT_BYTES)
    assert len(disk.files[SECOND]) > 3 * SEGMENT_BYTES
    writer.append(1)
    assert len(disk.files[THIRD]) == SEGMENT_BYTES
    check_reopened(disk, writer)


def test_group_that_just_fits_stays_in_its_segment(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(1, size=SEGMENT_BYTES - HEADER_BYTES - 41)
    assert scan(disk, "wal", 1, is_last=True).stop == SEGMENT_BYTES
    assert disk.names() == [FIRST, SPARE]
    check_reopened(disk, writer)
    writer.append(1)
    assert SECOND in disk.files
    check_reopened(disk, writer)


def test_segment_continues_after_a_restart(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(2)
    again = disk.reboot()
    second = Writer(again, writer.persists)
    second.append(2)
    assert again.names() == [FIRST, SPARE]
    check_reopened(again, second)


# Compaction


def test_compaction_removes_whole_segments_oldest_first(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 4)
    last_of_second = scan(disk, "wal", 2, is_last=False).max_index
    before = len(disk.steps)
    writer.compact(last_of_second)
    assert disk.steps[before:] == [f"retire {FIRST}", f"remove {SECOND}"]
    check_reopened(disk, writer)


def test_one_removed_segment_at_a_time_waits_to_be_the_next_spare_one(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 4)
    writer.compact(scan(disk, "wal", 1, is_last=False).max_index)
    assert f"{SPARE}.new" in disk.files
    disk.capacity = sum(map(len, disk.files.values()))
    writer.wal.reserve().run()
    assert disk.files[SPARE] == bytes(SEGMENT_BYTES)
    assert f"{SPARE}.new" not in disk.files
    writer.compact(writer.image.last_index)
    assert f"{SPARE}.new" in disk.files, "the next one waits again"
    check_reopened(disk, writer)


def test_after_an_attempt_at_a_spare_segment_another_one_is_kept(disk: FakeDisk) -> None:
    """Whatever became of the one that was: of a disk that found no space for the successor nobody knows."""
    writer = Writer(disk)
    begin_segment(writer, 4)
    writer.compact(scan(disk, "wal", 1, is_last=False).max_index)
    disk.capacity = 0
    writer.wal.reserve().run()
    assert SPARE not in disk.files
    disk.capacity = None
    writer.compact(scan(disk, "wal", 2, is_last=False).max_index)
    assert disk.removed == [FIRST, SECOND]
    assert len(disk.files[f"{SPARE}.new"]) == SEGMENT_BYTES


def test_compaction_keeps_a_segment_with_one_entry_that_is_needed(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 3)
    assert writer.wal.compact(scan(disk, "wal", 1, is_last=False).max_index - 1) is None
    assert FIRST in disk.files


def test_compaction_never_removes_the_segment_in_use(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    writer.compact(writer.image.last_index)
    assert disk.names() == [SECOND, f"{SPARE}.new"]
    _, recovered = open_wal(disk)
    assert recovered.current_term == 1
    check_reopened(disk, writer)


def test_hard_state_survives_the_segments_that_held_it(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.vote(5)
    while SECOND not in disk.files:
        writer.write(writer.persist(1, voted_for=5, entries=writer.appending(1, 1, 300).entries))
    writer.compact(writer.image.last_index)
    _, recovered = open_wal(disk)
    assert (recovered.current_term, recovered.voted_for) == (1, 5)


def test_replaced_suffix_in_a_removed_segment(disk: FakeDisk) -> None:
    """The new segment begins with entries that replace some of the old one's, which is compacted away later."""
    writer = Writer(disk)
    while len(disk.files[FIRST]) - scan(disk, "wal", 1, is_last=True).stop > 400:
        writer.append(1, size=300)
    last = writer.image.last_index
    writer.write(writer.persist(2, truncate_from=last, entries=tuple(entries(last, 3, 2, 300))))
    assert SECOND in disk.files
    writer.compact(last + 1)
    assert FIRST not in disk.files
    writer.append(1)
    check_reopened(disk, writer)


def test_compaction_after_a_restart(disk: FakeDisk) -> None:
    """What the segments hold is known from reading them."""
    writer = Writer(disk)
    begin_segment(writer, 3)
    last = scan(disk, "wal", 1, is_last=False).max_index
    second = Writer(disk.reboot(), writer.persists)
    assert second.wal.compact(last - 1) is None
    second.compact(last)
    assert FIRST not in second.disk.files
    assert SECOND in second.disk.files


def test_nothing_is_vouched_for_after_a_removal_that_failed() -> None:
    """Whether the directory is durable is unknown then, and a later sync of it may tell that all is well."""

    class Broken(FakeDisk):
        def retire(self, name: str, successor: str) -> None:
            raise DiskFailed(f"could not remove {name}")

    writer = Writer(Broken())
    begin_segment(writer, 2)
    with pytest.raises(DiskFailed):
        writer.compact(writer.image.last_index)
    with pytest.raises(DiskFailed, match="could not remove"):
        writer.append(1)


def test_nothing_is_vouched_for_after_a_spare_segment_that_failed(disk: FakeDisk) -> None:
    writer = Writer(disk)
    begin_segment(writer, 2)
    disk.fails_creations = True
    with pytest.raises(DiskFailed):
        writer.wal.reserve().run()
    with pytest.raises(DiskFailed, match="could not create"):
        writer.append(1)


def test_damage_is_not_opened(disk: FakeDisk) -> None:
    writer = Writer(disk)
    writer.append(3)
    disk.files[FIRST][HEADER_BYTES + 40] ^= 1
    with pytest.raises(CorruptData):
        open_wal(disk)
