"""The clock of the asyncio world: Tick events from the loop's monotonic time."""

import asyncio
import time
from collections.abc import Callable


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
    ) -> None:
        """observe_lag_s: gets how late each call came, and how much of that this process was at work itself, at most: for the
        rest it waited for a core, or was stopped.
        """
        self._loop = loop
        self._interval_s = interval_ms / 1000
        self._on_tick = on_tick
        self._observe_lag_s = observe_lag_s
        self._last_s = loop.time()
        self._handle: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """By a clock that does not stand still during a turn of the loop, as the loop's own does."""
        self._planned_cpu_s = 0.0

    def start(self) -> None:
        self._last_s = self._loop.time()
        self._plan()

    def _plan(self) -> None:
        self._due_s = time.monotonic() + self._interval_s
        self._planned_cpu_s = time.process_time()
        self._handle = self._loop.call_later(self._interval_s, self._tick)

    def _tick(self) -> None:
        if self._observe_lag_s is not None:
            lag_s = max(0.0, time.monotonic() - self._due_s)
            self._observe_lag_s(lag_s, min(lag_s, time.process_time() - self._planned_cpu_s))
        elapsed_ms = int((self._loop.time() - self._last_s) * 1000)
        self._last_s += elapsed_ms / 1000
        self._plan()
        if elapsed_ms > 0:
            self._on_tick(elapsed_ms)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
