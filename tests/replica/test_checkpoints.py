"""Checkpoints: in slices, committed beside the loop, tried again when the disk was full."""

import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.replica.checkpoints import (
    EXTRA_BYTES,
    EXTRA_MAX,
    INTERVAL_MS,
    PENDING_BYTES_MAX,
    RETRY_MS,
    STUCK_BYTES_MAX,
    WRITE_S,
    Checkpoints,
)
from raftwerk.replica.position import Position
from tests.replica.fakes import FakeBackground, ListMachine
from tests.replica.world import World


class Setting:
    def __init__(self, phase: float = 1.0) -> None:
        self.machine = ListMachine()
        self.background = FakeBackground()
        self.durable: list[int] = []
        self.slice_s = WRITE_S
        """What a slice takes."""
        self.checkpoints = Checkpoints(
            self.machine,
            self.background,
            self.durable.append,
            lambda: self.machine.slices_written * self.slice_s,
            phase=phase,
        )

    def apply(self, index: int, command: bytes = b"x") -> None:
        self.machine.apply([command], index, Position(index, 1, b"").encode())

    def run(self, now_ms: int) -> None:
        while self.checkpoints.advance(now_ms):
            pass
        self.background.run_jobs()


def test_nothing_is_written_before_the_interval_is_over() -> None:
    setting = Setting()
    setting.apply(1)
    setting.run(INTERVAL_MS - 1)
    assert setting.durable == []
    setting.run(INTERVAL_MS)
    assert setting.durable == [1]
    assert setting.machine.durable[0] == [b"x"]


def test_much_that_is_new_does_not_wait_for_the_interval() -> None:
    setting = Setting()
    setting.apply(1, b"x" * PENDING_BYTES_MAX)
    setting.run(0)
    assert setting.durable == [1]


def test_first_one_comes_after_a_part_of_the_interval_and_the_others_after_whole_ones() -> None:
    """Members that begin at the same moment write at different ones."""
    setting = Setting(phase=0.25)
    for index, due_ms in enumerate((INTERVAL_MS // 4, INTERVAL_MS // 4 + INTERVAL_MS), start=1):
        setting.apply(index)
        setting.run(due_ms - 1)
        assert setting.durable == list(range(1, index))
        setting.run(due_ms)
        assert setting.durable == list(range(1, index + 1))


def test_first_one_by_size_comes_after_a_part_of_the_most_and_the_others_after_all_of_it() -> None:
    """Members that apply the same write at different moments, and stay as far apart."""
    setting = Setting(phase=0.25)
    fractions = (0.2, 0.1, 0.9, 0.2, 0.9)
    for index, fraction in enumerate(fractions, start=1):
        setting.apply(index, bytes(int(fraction * PENDING_BYTES_MAX)))
        setting.run(0)
    assert setting.durable == [2, 4]


def test_one_by_time_lets_the_members_part_again() -> None:
    """They came to it with nothing new, or each at a moment of its own: what comes then comes to all of them together."""
    setting = Setting(phase=0.25)
    part = bytes(int(0.3 * PENDING_BYTES_MAX))
    setting.apply(1, part)
    setting.run(0)
    setting.apply(2)
    setting.run(INTERVAL_MS)
    assert setting.durable == [1, 2]
    setting.apply(3, part)
    setting.run(INTERVAL_MS)
    assert setting.durable == [1, 2, 3]
    setting.apply(4, part)
    setting.run(INTERVAL_MS)
    assert setting.durable == [1, 2, 3]


@pytest.mark.parametrize(("voters", "part"), [((1,), 1.0), ((1, 2, 3), 1 / 3)])
def test_phase_of_a_replica_is_that_of_its_place(voters: tuple[int, ...], part: float) -> None:
    world = World(voters)
    world.machine.apply([b"x"], 1, Position(1, 1, b"").encode())
    world.machine.pending_bytes = int(part * PENDING_BYTES_MAX) - 1
    world.replica.step()
    assert not world.replica.checkpoints.is_under_way
    world.machine.pending_bytes += 2
    world.replica.step()
    assert world.replica.checkpoints.is_under_way


def test_one_slice_for_each_call_and_the_commit_beside_the_loop() -> None:
    setting = Setting()
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS), "another slice is left"
    assert not setting.checkpoints.advance(INTERVAL_MS), "all slices are written"
    assert setting.checkpoints.is_under_way
    assert setting.durable == [], "not durable before the commit"
    assert not setting.checkpoints.advance(INTERVAL_MS), "one at a time"
    setting.background.run_jobs()
    assert setting.durable == [1]


def test_an_unchanged_state_needs_no_checkpoint() -> None:
    setting = Setting()
    setting.apply(1)
    setting.run(INTERVAL_MS)
    setting.run(2 * INTERVAL_MS)
    assert setting.durable == [1]


def test_a_full_disk_is_waited_for() -> None:
    setting = Setting()
    setting.apply(1)
    setting.machine.write_errors = [DiskFull("no space")]
    setting.run(INTERVAL_MS)
    assert setting.checkpoints.is_disk_full
    assert setting.durable == []
    setting.run(INTERVAL_MS + RETRY_MS)
    assert not setting.checkpoints.is_disk_full
    assert setting.durable == [1]
    assert setting.checkpoints.failure is None


def test_a_full_disk_is_not_waited_for_without_end() -> None:
    """What others commit is applied into memory meanwhile: at some point the node must stop, and say why."""
    setting = Setting()
    setting.apply(1)
    error = DiskFull("no space")
    setting.machine.write_errors = [error]
    setting.machine.pending_bytes = STUCK_BYTES_MAX
    setting.run(INTERVAL_MS)
    assert setting.checkpoints.failure is error


def test_a_full_disk_is_forgotten_when_nothing_waits_for_it() -> None:
    """A leader's snapshot replaced the state meanwhile: nobody will try again, so nothing may stay refused."""
    setting = Setting()
    setting.apply(1)
    setting.machine.write_errors = [DiskFull("no space")]
    setting.run(INTERVAL_MS)
    setting.machine.durable = ([], setting.machine.position)
    setting.run(INTERVAL_MS + RETRY_MS)
    assert not setting.checkpoints.is_disk_full


def test_a_broken_disk_is_reported() -> None:
    setting = Setting()
    setting.apply(1)
    error = DiskFailed("input/output error")
    setting.machine.write_errors = [error]
    setting.run(INTERVAL_MS)
    assert setting.checkpoints.failure is error
    assert setting.durable == []


def test_what_waits_for_a_quiet_moment_runs_after_the_checkpoint_under_way() -> None:
    setting = Setting()
    ran: list[str] = []
    setting.checkpoints.when_idle(lambda: ran.append("at once"))
    setting.apply(1)
    setting.checkpoints.advance(INTERVAL_MS)
    setting.checkpoints.when_idle(lambda: ran.append("after"))
    assert ran == ["at once"]
    setting.run(INTERVAL_MS)
    assert ran == ["at once", "after"]


def test_who_waits_for_what_is_there_now_is_told_when_it_is_durable() -> None:
    """One under way began before that: it takes the next, which is made at once."""
    setting = Setting()
    made: list[int] = []
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS)
    setting.apply(2)
    setting.checkpoints.when_made(lambda: made.append(setting.durable[-1]))
    setting.run(INTERVAL_MS)
    assert (setting.durable, made) == ([1], [])
    setting.run(INTERVAL_MS)
    assert (setting.durable, made) == ([1, 2], [2])
    setting.apply(3)
    setting.run(3 * INTERVAL_MS)
    assert made == [2], "once"


def test_who_waits_is_told_at_once_when_nothing_is_new() -> None:
    setting = Setting()
    made: list[bool] = []
    setting.checkpoints.when_made(lambda: made.append(True))
    assert made == []
    setting.run(0)
    assert made == [True]


def test_who_waits_is_told_when_the_disk_turns_out_to_be_full() -> None:
    """It may stay so for long: who asked for a defragmentation has had what there is."""
    setting = Setting()
    made: list[bool] = []
    setting.apply(1)
    setting.checkpoints.when_made(lambda: made.append(setting.checkpoints.is_disk_full))
    setting.machine.write_errors = [DiskFull("no space")]
    setting.run(0)
    assert (setting.durable, made) == ([], [True])
    setting.run(RETRY_MS)
    assert (setting.durable, made) == ([1], [True]), "once"


def test_who_asks_while_the_disk_is_full_does_not_hasten_the_next_attempt() -> None:
    """Each writes all that waits, and whoever is refused may ask again at once."""
    setting = Setting()
    made: list[bool] = []
    setting.apply(1)
    setting.machine.write_errors = [DiskFull("no space")]
    setting.run(INTERVAL_MS)
    setting.checkpoints.when_made(lambda: made.append(True))
    setting.run(INTERVAL_MS + RETRY_MS - 1)
    assert (setting.durable, made) == ([], [])
    setting.run(INTERVAL_MS + RETRY_MS)
    assert (setting.durable, made) == ([1], [True])


def test_stop_gives_up_what_is_being_written() -> None:
    """A store cannot be closed while it is being written."""
    setting = Setting()
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS)
    setting.checkpoints.stop()
    assert setting.machine.aborted == 1
    setting.run(INTERVAL_MS)
    assert setting.durable == []


def test_stop_leaves_a_commit_to_the_background() -> None:
    setting = Setting()
    setting.apply(1)
    while setting.checkpoints.advance(INTERVAL_MS):
        pass
    setting.checkpoints.stop()
    setting.background.run_jobs()
    assert setting.machine.aborted == 0
    assert setting.machine.durable[0] == [b"x"]
    assert setting.durable == [], "nobody is told any more"


def test_nothing_is_begun_after_a_failure() -> None:
    setting = Setting()
    setting.machine.write_errors.append(DiskFailed("broken"))
    setting.apply(1, b"x" * PENDING_BYTES_MAX)
    setting.run(0)
    assert isinstance(setting.checkpoints.failure, DiskFailed)
    setting.run(2 * INTERVAL_MS)
    assert not setting.checkpoints.is_under_way
    assert setting.durable == []


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_a_turn_writes_as_many_slices_as_it_has_time_for(slices: int) -> None:
    setting = Setting()
    setting.slice_s = WRITE_S / slices
    setting.machine.checkpoint_slices = 100
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS)
    assert setting.machine.slices_written == slices
    assert setting.checkpoints.advance(INTERVAL_MS)
    assert setting.machine.slices_written == 2 * slices


@pytest.mark.parametrize(
    ("waiting", "times"),
    [
        (EXTRA_BYTES - 1, 1),
        (EXTRA_BYTES, 2),
        (3 * EXTRA_BYTES, 4),
        (100 * EXTRA_BYTES, 1 + EXTRA_MAX),
    ],
)
def test_what_waits_for_the_next_one_hastens_the_one_under_way(waiting: int, times: int) -> None:
    """Else a busy node would hold ever more in memory: it would take in more in a turn than it writes."""
    setting = Setting()
    setting.machine.checkpoint_slices = 100
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS)
    assert setting.machine.slices_written == 1
    setting.apply(2, b"x" * waiting)
    assert setting.checkpoints.advance(INTERVAL_MS)
    assert setting.machine.slices_written == 1 + times


@pytest.mark.parametrize(
    ("waiting", "left", "times"),
    [
        (EXTRA_MAX - 1, -1, 1),
        (EXTRA_MAX - 1, 0, 1),
        (EXTRA_MAX - 1, 2, 2),
        (EXTRA_MAX - 1, 100, EXTRA_MAX),
        (EXTRA_MAX, -1, 1 + EXTRA_MAX),
    ],
)
def test_a_step_that_has_taken_long_writes_less(waiting: int, left: int, times: int) -> None:
    """But not when the most waits: it must not become ever more."""
    setting = Setting()
    setting.machine.checkpoint_slices = 100
    setting.apply(1)
    assert setting.checkpoints.advance(INTERVAL_MS)
    setting.apply(2, b"x" * waiting * EXTRA_BYTES)
    over_s = (setting.machine.slices_written + left) * WRITE_S
    assert setting.checkpoints.advance(INTERVAL_MS, over_s)
    assert setting.machine.slices_written == 1 + times
