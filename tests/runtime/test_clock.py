"""Ticks, on a loop whose time the test moves."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from raftwerk.runtime.clock import MARKS_S, Clock
from raftwerk.runtime.core_waits import CoreWaits
from tests.runtime.test_core_waits import half_a_core, work


class Timer:
    """What FakeLoop.call_later returns."""

    def __init__(self, when_s: float) -> None:
        self.when_s = when_s
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeLoop:
    """The two methods of a loop that the clock uses; advance moves its time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._timers: list[tuple[Timer, object]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: object) -> Timer:
        timer = Timer(self.now_s + delay_s)
        self._timers.append((timer, callback))
        return timer

    def advance(self, elapsed_s: float) -> None:
        """Time passes, in one go: what is due by then is called late, as after a pause of the process."""
        self.now_s += elapsed_s
        due = [entry for entry in self._timers if entry[0].when_s <= self.now_s + 1e-9]
        self._timers = [entry for entry in self._timers if entry not in due]
        for timer, callback in due:
            if not timer.is_cancelled:
                callback()  # type: ignore[operator]


def started(loop: FakeLoop, interval_ms: int = 10) -> tuple[Clock, list[int]]:
    ticks: list[int] = []
    clock = Clock(cast("asyncio.AbstractEventLoop", loop), interval_ms, ticks.append)
    clock.start()
    return clock, ticks


def test_tick_at_each_interval() -> None:
    loop = FakeLoop()
    _, ticks = started(loop)
    for _ in range(3):
        loop.advance(0.010)
    assert sum(ticks) in (29, 30)
    assert len(ticks) == 3


def test_pause_is_one_tick_that_carries_all_of_it() -> None:
    """SIGSTOP, a suspended machine: a leader knows that it was away."""
    loop = FakeLoop()
    _, ticks = started(loop)
    loop.advance(3.5)
    assert ticks == [3500]


def test_no_time_is_lost_in_rounding() -> None:
    """1000 ticks of 10.9 ms are 10.9 s, not 10."""
    loop = FakeLoop()
    _, ticks = started(loop)
    for _ in range(1000):
        loop.advance(0.0109)
    assert 10_898 <= sum(ticks) <= 10_900


def test_time_before_the_start_does_not_count() -> None:
    loop = FakeLoop()
    ticks: list[int] = []
    clock = Clock(cast("asyncio.AbstractEventLoop", loop), 10, ticks.append)
    loop.advance(60)
    clock.start()
    loop.advance(0.010)
    assert sum(ticks) <= 10


def test_clock_goes_on_when_a_tick_raises() -> None:
    """The next one is planned before: what failed is reported elsewhere."""
    loop = FakeLoop()
    ticks: list[int] = []

    def fail_once(elapsed_ms: int) -> None:
        ticks.append(elapsed_ms)
        assert len(ticks) > 1

    Clock(cast("asyncio.AbstractEventLoop", loop), 10, fail_once).start()
    try:
        loop.advance(0.010)
    except AssertionError:
        loop.advance(0.010)
    assert len(ticks) == 2


def test_stopped_clock_ticks_no_more() -> None:
    loop = FakeLoop()
    clock, ticks = started(loop)
    loop.advance(0.010)
    clock.stop()
    loop.advance(1.0)
    assert len(ticks) == 1


def test_stopped_clock_holds_no_file() -> None:
    before = open_files()
    clock, _ = started(FakeLoop())
    assert len(open_files()) == len(before) + 1
    clock.stop()
    assert open_files() == before


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_stop_before_start_does_nothing() -> None:
    loop = FakeLoop()
    ticks: list[int] = []
    Clock(cast("asyncio.AbstractEventLoop", loop), 10, ticks.append).stop()
    loop.advance(1.0)
    assert ticks == []


def test_lag_is_how_late_a_tick_came() -> None:
    """The loop's own clock stands still during a turn: here the tick comes at once, and so far too early, by a real one."""
    loop = FakeLoop()
    lags: list[tuple[float, float]] = []
    clock = Clock(
        cast("asyncio.AbstractEventLoop", loop),
        1000,
        lambda _: None,
        lambda *observed: lags.append(observed),
    )
    clock.start()
    loop.advance(1.0)
    assert lags == [(0.0, 0.0)]


def test_lag_by_what_this_process_does_is_its_own() -> None:
    for hold_up in (lambda: work(0.03), lambda: threading.Event().wait(0.03)):
        lag_s, own_s = asyncio.run(_first_lag(hold_up))
        assert lag_s >= 0.02
        assert 0.02 <= own_s <= lag_s


def test_waiting_for_a_core_is_not_its_own_lag() -> None:
    """Two threads on one core have half of it each: what the other one has is not ours."""
    with half_a_core():
        lags = [asyncio.run(_first_lag(lambda: work(0.1))) for _ in range(3)]
    assert all(own_s < lag_s for lag_s, own_s in lags)


class Waits(CoreWaits):
    """As it is told."""

    waited_s = 0.0

    def total_s(self) -> float:
        return self.waited_s


class Lag:
    """Of a call that is due in a second. Before and after that, the thread works, waits for a core and sleeps as it is told."""

    def __init__(self) -> None:
        self.loop, self.waits, self.cpu_s = FakeLoop(), Waits(), 0.0
        self.observed: list[tuple[float, float]] = []
        self.clock = Clock(
            cast("asyncio.AbstractEventLoop", self.loop),
            1000,
            lambda _: None,
            lambda *observed: self.observed.append(observed),
            waits=self.waits,
            monotonic=lambda: self.loop.now_s,
            thread_time=lambda: self.cpu_s,
        )
        self.clock.start()

    def spend(self, *, work: float = 0.0, wait: float = 0.0, sleep: float = 0.0) -> None:
        self.cpu_s += work
        self.waits.waited_s += wait
        self.loop.now_s += work + wait + sleep

    def own_s(self) -> float:
        self.loop.advance(0.0)
        ((_, own_s),) = self.observed
        return own_s


def test_who_sleeps_until_a_call_is_due_and_waits_for_a_core_then_has_no_own_lag() -> None:
    lag = Lag()
    lag.spend(sleep=1.0)
    lag.spend(wait=0.8)
    assert lag.own_s() == pytest.approx(0.0)


def test_work_and_sleep_after_a_call_was_due_are_its_own_lag() -> None:
    lag = Lag()
    lag.spend(sleep=1.0)
    lag.spend(work=0.2, wait=0.8, sleep=0.3)
    assert lag.own_s() == pytest.approx(0.5)


@pytest.mark.parametrize("work", [0.6, 0.0])
def test_what_was_waited_before_the_turn_that_came_too_late_does_not_count(work: float) -> None:
    lag = Lag()
    lag.spend(wait=0.9)
    lag.clock.mark()
    lag.spend(work=work, sleep=0.6 - work)
    assert lag.own_s() == pytest.approx(0.5)


def test_mark_soon_after_another_one_is_passed_over() -> None:
    """What was waited between them counts as if it came after."""
    lag = Lag()
    lag.spend(sleep=0.5)
    lag.clock.mark()
    lag.spend(wait=0.9 * MARKS_S)
    lag.clock.mark()
    lag.spend(sleep=0.6)
    assert lag.own_s() == pytest.approx(0.1)


def test_mark_a_little_later_is_taken() -> None:
    """What was waited before it does not count; a millisecond is little beside the 10 that are asked for."""
    lag = Lag()
    lag.spend(sleep=0.5)
    lag.clock.mark()
    lag.spend(wait=0.0015)
    lag.clock.mark()
    lag.spend(sleep=0.6)
    assert lag.own_s() == pytest.approx(0.1015)


def test_work_is_its_own_lag_though_it_waited_before_the_call_was_due() -> None:
    lag = Lag()
    lag.spend(wait=0.9, work=0.6)
    assert lag.own_s() == pytest.approx(0.5)


def test_a_mark_after_a_call_was_due_says_nothing_of_it() -> None:
    lag = Lag()
    lag.spend(sleep=1.0)
    lag.spend(work=0.3, wait=0.2)
    lag.clock.mark()
    lag.spend(wait=0.1)
    assert lag.own_s() == pytest.approx(0.3)


async def _first_lag(hold_up: Callable[[], None]) -> tuple[float, float]:
    """Something holds the loop for 30 ms while a tick is due in 5."""
    lags: list[tuple[float, float]] = []
    first = asyncio.Event()
    loop = asyncio.get_running_loop()
    clock = Clock(loop, 5, lambda _: first.set(), lambda *observed: lags.append(observed))
    clock.start()
    hold_up()
    await first.wait()
    clock.stop()
    return lags[0]
