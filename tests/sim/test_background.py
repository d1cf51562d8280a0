"""Jobs beside the loop, in virtual time."""

from random import Random

from raftwerk.errors import DiskFull
from raftwerk.sim.background import SimBackground
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import SimDisk
from raftwerk.sim.journal import DiskOptions, DiskTimes
from raftwerk.sim.world import World


class Setting:
    def __init__(self) -> None:
        self.world = World(1)
        self.disk = SimDisk(Random(1), Coverage())
        self.background = SimBackground(self.world, self.disk, DiskTimes(DiskOptions(), Random(1)))
        self.results: list[object] = []

    def run(self, name: str) -> None:
        self.background.run(lambda: name, self.results.append)


def test_jobs_are_done_later_one_after_the_other() -> None:
    setting = Setting()
    setting.run("a")
    setting.run("b")
    assert setting.results == []
    setting.world.run_until(1_000_000)
    assert setting.results == ["a", "b"]


def test_slices_are_done_at_once() -> None:
    assert Setting().background.run_slice(lambda: 7) == 7


def test_full_disk_and_exceptions_are_handed_over() -> None:
    setting = Setting()
    error = ValueError("x")

    def fail() -> None:
        raise error

    setting.background.run(fail, setting.results.append)
    setting.world.run_until(1_000_000)
    setting.disk.is_full = True
    setting.run("a")
    setting.world.run_until(2_000_000)
    assert setting.results[0] is error
    assert isinstance(setting.results[1], DiskFull)


def test_crash_leaves_the_job_under_way_done_or_not() -> None:
    outcomes = set()
    for seed in range(20):
        setting = Setting()
        setting.run("a")
        setting.background.crash(Random(seed))
        setting.world.run_until(1_000_000)
        outcomes.add(tuple(setting.results))
    assert outcomes == {(), ("a",)}


def test_what_an_answer_asks_for_waits_for_what_was_asked_before() -> None:
    setting = Setting()

    def ask_again(_: object) -> None:
        setting.run("again")

    setting.background.run(lambda: None, ask_again)
    setting.world.run_until(1_000_000)
    assert setting.results == ["again"]
    setting.background.run(lambda: None, ask_again)
    setting.run("b")
    setting.world.run_until(2_000_000)
    assert setting.results[1:] == ["b", "again"]
