"""The simulated disk: what crashes and rot do to it. tests/wal/test_disk.py has the contract of all disks."""

from random import Random

import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import SECTOR, PowerCut, SimDisk


def disk(seed: int = 1) -> SimDisk:
    made = SimDisk(Random(seed), Coverage())
    made.create("1.wal", 4 * SECTOR)
    return made


def test_power_goes_at_the_step_that_was_armed() -> None:
    made = disk()
    made.arm(1)
    file = made.open("1.wal")
    file.write_durable([b"first"], 0)
    with pytest.raises(PowerCut):
        file.write_durable([b"second"], 8)
    made.disarm()
    file.write_durable([b"third"], 16)
    assert file.read(0, 5) == b"first"
    assert file.read(16, 5) == b"third"


def test_torn_write_leaves_any_part_of_its_sectors() -> None:
    """Over many seeds: nothing, everything, a beginning, and sectors that are missing in the middle."""
    seen = set()
    for seed in range(200):
        made = disk(seed)
        made.arm(0)
        with pytest.raises(PowerCut):
            made.open("1.wal").write_durable([b"x" * 4 * SECTOR], 0)
        data = bytes(made.files["1.wal"])
        assert set(data) <= {0, ord("x")}
        seen.add("".join("x" if data[start] else "." for start in range(0, 4 * SECTOR, SECTOR)))
    assert {"....", "xxxx", "xx..", "x.x."} <= seen


def test_failed_write_is_reported_once() -> None:
    made = disk()
    made.fails = True
    with pytest.raises(DiskFailed):
        made.open("1.wal").write_durable([b"x"], 0)
    made.open("1.wal").write_durable([b"y"], 0)
    assert made.files["1.wal"][0] == ord("y")


def test_chunk_of_a_snapshot_finds_no_room_on_a_full_disk_and_now_and_then_on_others() -> None:
    made, random = disk(), Random(1)
    for _ in range(100):
        made.check_room_for_chunk(random)
    made.refused_chunks = 0.3
    refused = 0
    for _ in range(1000):
        try:
            made.check_room_for_chunk(random)
        except DiskFull:
            refused += 1
    assert 200 < refused < 400
    made.refused_chunks, made.is_full = 0.0, True
    with pytest.raises(DiskFull):
        made.check_room_for_chunk(random)


def test_rot_damages_something_and_a_backup_stays_whole() -> None:
    for seed in range(50):
        made = disk(seed)
        made.create("2.wal", SECTOR)
        made.create("3.wal", SECTOR)
        for file in made.files.values():
            file[:] = Random(seed).randbytes(len(file))
        copy = made.copy_files()
        made.rot(Random(seed))
        assert "3.wal" in made.files, "nobody can miss a last file"
        assert made.files.keys() <= copy.keys()


def test_empty_disk_does_not_rot() -> None:
    assert not SimDisk(Random(1), Coverage()).rot(Random(1))
