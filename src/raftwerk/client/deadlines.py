"""How long answers are waited for: one timer of the loop for all of an endpoint, which come in time as a rule."""

import asyncio
from heapq import heapify, heappop, heappush
from typing import Any, Final

OVER_MAX: Final = 64
"""Deadlines of what is over, before they are looked for; and as many as there are others."""


class Deadline:
    """Of one waiter; None: it is over."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: "asyncio.Future[Any]") -> None:
        self.waiter: asyncio.Future[Any] | None = waiter


class Deadlines:
    """Of the calls to an endpoint."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        """What is waited for until when, in the loop's time; the number keeps the order of what has the same time."""
        self._number = 0
        self._over = 0
        """How many of them are over."""
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the timer is."""

    def add(self, waiter: "asyncio.Future[Any]", until_s: float) -> Deadline:
        """The future gets a TimeoutError at that time of the loop, if it is not `done` before: tell that in any case."""
        self._number += 1
        deadline = Deadline(waiter)
        heappush(self._heap, (until_s, self._number, deadline))
        if self._timer is None or until_s < self._due_s:
            self._set_timer()
        return deadline

    def done(self, deadline: Deadline) -> None:
        """Nobody waits any more: the answer, which may be large, is not held."""
        if deadline.waiter is None:
            return
        deadline.waiter = None
        self._over += 1
        if self._over > OVER_MAX and 2 * self._over > len(self._heap):
            self._heap = [each for each in self._heap if each[2].waiter is not None]
            heapify(self._heap)
            self._over = 0

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = self._heap[0][0]
        self._timer = asyncio.get_running_loop().call_at(self._due_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        heap = self._heap
        while heap and (heap[0][0] <= now_s or heap[0][2].waiter is None):
            deadline = heappop(heap)[2]
            waiter = deadline.waiter
            if waiter is None:
                self._over -= 1
                continue
            deadline.waiter = None
            if not waiter.done():
                waiter.set_exception(TimeoutError())
        if heap:
            self._set_timer()
