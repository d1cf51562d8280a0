"""How long answers are waited for: one timer of the loop for all of an endpoint, which come in time as a rule.

Those that are asked for at the same time wait until the same time, and are kept together.
"""

import asyncio
from heapq import heapify, heappop, heappush
from typing import Any, Final

GRAIN_S: Final = 0.001
"""A deadline may come so much later."""
EMPTY_MAX: Final = 64
"""Times for which nobody waits any more, before they are looked for; and as many as there are others."""


class Due:
    """All who wait until one time of the loop."""

    __slots__ = ("until_s", "waiters")

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s
        self.waiters: dict[asyncio.Future[Any], None] = {}
        """In the order in which they came."""

    def covers(self, until_s: float) -> bool:
        """Whether it will do for who waits until then."""
        return until_s <= self.until_s <= until_s + GRAIN_S


class Deadlines:
    """Of the calls to an endpoint."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        """What is waited for until when; the number keeps the order of what has the same time."""
        self._newest = Due(0.0)
        """In the heap, or long past."""
        self._number = 0
        self._many = EMPTY_MAX
        """So large may the heap become before it is looked through."""
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the timer is."""

    def add(self, waiter: "asyncio.Future[Any]", until_s: float) -> Due:
        """The future gets a TimeoutError at that time of the loop, if it is not `done` before: tell that in any case."""
        due = self._newest
        if not due.covers(until_s):
            due = self._newest = Due(until_s + GRAIN_S)
            self._push(due)
        due.waiters[waiter] = None
        return due

    def done(self, due: Due, waiter: "asyncio.Future[Any]") -> None:
        """Nobody waits any more: the answer, which may be large, is not held."""
        due.waiters.pop(waiter, None)

    def _push(self, due: Due) -> None:
        if len(self._heap) >= self._many:
            self._heap = [each for each in self._heap if each[2].waiters]
            heapify(self._heap)
            self._many = EMPTY_MAX + 2 * len(self._heap)
        self._number += 1
        heappush(self._heap, (due.until_s, self._number, due))
        if self._timer is None or due.until_s < self._due_s:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = self._heap[0][0]
        self._timer = asyncio.get_running_loop().call_at(self._due_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        heap = self._heap
        while heap and (heap[0][0] <= now_s or not heap[0][2].waiters):
            due = heappop(heap)[2]
            if due is self._newest:
                self._newest = Due(0.0)  # who comes now is to be in the heap
            for waiter in due.waiters:
                if not waiter.done():
                    waiter.set_exception(TimeoutError())
            due.waiters.clear()
        if heap:
            self._set_timer()
