"""The clock of the asyncio world: Tick events from the loop's monotonic time."""

import asyncio
from collections.abc import Callable


class Clock:
    """Calls `on_tick(elapsed_ms)` about every interval, with the time that really went by.

    After a pause (SIGSTOP, a suspended machine) one call carries the whole of it: a leader then knows that it was away.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, interval_ms: int, on_tick: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._interval_s = interval_ms / 1000
        self._on_tick = on_tick
        self._last_s = loop.time()
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._last_s = self._loop.time()
        self._handle = self._loop.call_later(self._interval_s, self._tick)

    def _tick(self) -> None:
        elapsed_ms = int((self._loop.time() - self._last_s) * 1000)
        self._last_s += elapsed_ms / 1000
        self._handle = self._loop.call_later(self._interval_s, self._tick)
        if elapsed_ms > 0:
            self._on_tick(elapsed_ms)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
