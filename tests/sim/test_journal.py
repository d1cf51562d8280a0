"""The journal over a simulated disk: group commit, order, and crashes."""

from pathlib import Path
from random import Random

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import SimDisk
from raftwerk.sim.journal import STALL_US_MAX, DiskOptions, DiskTimes, SimJournal
from raftwerk.sim.world import World
from raftwerk.wal.log import Wal


class Setting:
    """One journal; what was reported."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.disk = SimDisk(self.world.stream("disk"), Coverage())
        self.persisted: list[int] = []
        self.failures: list[Exception] = []
        self.times = DiskTimes(DiskOptions(), self.world.stream("times"))
        self.journal = SimJournal(
            self.open()[0],
            self.disk,
            self.world,
            self.times,
            Coverage(),
            lambda persist: None,
            self.persisted.append,
            self.failures.append,
        )

    def open(self) -> tuple[Wal, int]:
        wal, recovered = Wal.open(self.disk, Path("/"), 1, 1, segment_bytes=4096)
        return wal, recovered.log.last_index

    def persist(self, *tickets: int) -> None:
        for ticket in tickets:
            entry = Entry(ticket, 1, EntryKind.COMMAND, b"x" * 600)
            self.journal.persist(Persist(ticket, 1, 1, entries=[entry]))


def test_what_comes_while_the_disk_is_busy_is_one_group() -> None:
    setting = Setting()
    setting.persist(1, 2, 3, 4)
    setting.world.run_until(1_000_000)
    assert setting.persisted == [1, 2, 4]


def test_nothing_is_reported_before_its_time() -> None:
    setting = Setting()
    setting.persist(1)
    setting.world.run_until(50)
    assert setting.persisted == []


def test_full_disk_is_waited_for() -> None:
    setting = Setting()
    setting.disk.is_full = True
    setting.persist(*range(1, 20))
    setting.world.run_until(5_000_000)
    assert setting.persisted[-1:] != [19]
    setting.disk.is_full = False
    setting.world.run_until(20_000_000)
    assert setting.persisted[-1] == 19


def test_full_disk_is_known_before_the_last_segment_is_full() -> None:
    """Under load, when no tick finds the journal idle, as in production: what others vouch for still has a place."""
    setting = Setting()
    setting.disk.is_full = True
    for ticket in range(1, 30):
        had_room = setting.journal.has_room
        setting.persist(ticket)
        setting.world.run_until(100_000 * ticket)
        if not had_room:
            break
    assert 3 < ticket < 29
    assert setting.persisted[-1] == ticket


def test_failed_write_ends_the_journal() -> None:
    setting = Setting()
    setting.disk.fails = True
    setting.persist(1, 2)
    setting.world.run_until(1_000_000)
    assert (setting.persisted, len(setting.failures)) == ([], 1)


def test_crash_keeps_what_was_reported_and_a_prefix_of_the_rest() -> None:
    kept = set()
    for seed in range(60):
        setting = Setting(seed)
        setting.persist(1, 2, 3)
        setting.world.run_until(1_200)
        setting.journal.crash(Random(seed))
        _, last_index = setting.open()
        assert last_index >= max(setting.persisted, default=0)
        kept.add(last_index - max(setting.persisted, default=0))
    assert {0, 1} <= kept


def test_crash_removes_segments_in_their_order() -> None:
    """Seed 79931131: one that waited behind a write was removed before older ones, which waited for the second thread."""
    for seed in range(60):
        setting = Setting(seed)
        for ticket in range(1, 30):
            setting.persist(ticket)
            setting.world.run_until(1_000_000 * ticket)
        assert setting.persisted == list(range(1, 30))
        for index in (8, 16):
            setting.journal.compact(index)
        setting.persist(30)
        setting.journal.compact(24)
        setting.journal.crash(Random(seed))
        assert setting.open()[1] >= 29, seed


def test_slow_disk_has_a_limit() -> None:
    times = Setting().times
    times.slowdown = 10**9
    assert times.draw_us() == STALL_US_MAX
