"""The clock of the asyncio world: Tick events from the loop's monotonic time."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from raftwerk.runtime.core_waits import CoreWaits

MARKS_S: Final = 0.001
"""Between two marks at least: each is two system calls, and a single put has a dozen turns."""


class Clock:
    """Calls `on_tick(elapsed_ms)` about every interval, with the time that really went by.

    After a pause (SIGSTOP, a suspended machine) one call carries the whole of it: a leader then knows that it was away.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval_ms: int,
        on_tick: Callable[[int], None],
        observe_lag_s: Callable[[float, float], None] | None = None,
        *,
        waits: CoreWaits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        """observe_lag_s: gets how late each call came, and about how much of that this process held up the loop itself, at
        work or with waiting for the disk or for a thread of its own: for the rest it waited for a core, by the count of `waits`.

        monotonic: seconds, of a clock that does not stand still during a turn of the loop, as the loop's own does.
        thread_time: the CPU time of this thread, in seconds.
        """
        self._loop = loop
        self._interval_s = interval_ms / 1000
        self._on_tick = on_tick
        self._observe_lag_s = observe_lag_s
        self._last_s = loop.time()
        self._handle: asyncio.TimerHandle | None = None
        self._monotonic = monotonic
        self._thread_time = thread_time
        self._due_s = 0.0
        self._waits = CoreWaits() if waits is None else waits
        self._mark_s = self._mark_cpu_s = self._mark_waits_s = 0.0
        """Of the last mark before a call is due: when it was, CPU time of this thread then, and its waiting for a core."""

    def start(self) -> None:
        self._waits.open()
        self._last_s = self._loop.time()
        self._plan()

    def mark(self) -> None:
        """Work begins. The closer one is before a call is due, the closer is what is told of its lag."""
        now_s = self._monotonic()
        if self._mark_s + MARKS_S <= now_s < self._due_s:
            self._mark_s = now_s
            self._mark_cpu_s, self._mark_waits_s = self._thread_time(), self._waits.total_s()

    def _plan(self) -> None:
        self._due_s = self._monotonic() + self._interval_s
        self.mark()
        self._handle = self._loop.call_later(self._interval_s, self._tick)

    def _tick(self) -> None:
        if self._observe_lag_s is not None:
            lag_s = max(0.0, self._monotonic() - self._due_s)
            self._observe_lag_s(lag_s, self._own_lag_s(lag_s))
        elapsed_ms = int((self._loop.time() - self._last_s) * 1000)
        self._last_s += elapsed_ms / 1000
        self._plan()
        if elapsed_ms > 0:
            self._on_tick(elapsed_ms)

    def _own_lag_s(self, lag_s: float) -> float:
        """What was not waiting for a core; where some of that was before the call was due, at least what was work since."""
        worked_s = self._thread_time() - self._mark_cpu_s
        waited_s = max(0.0, self._waits.total_s() - self._mark_waits_s)
        return min(lag_s, max(worked_s, lag_s - waited_s))

    def stop(self) -> None:
        self._waits.close()
        if self._handle is not None:
            self._handle.cancel()
