"""How long answers are waited for: one timer of the loop for all of them, whose answers come in time as a rule."""

import asyncio
from heapq import heappop, heappush
from typing import Any


class Deadlines:
    """Of the calls of a client."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, asyncio.Future[Any]]] = []
        """What is waited for until when, in the loop's time; the number keeps the order of what has the same time."""
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the timer is."""

    def add(self, waiter: "asyncio.Future[Any]", until_s: float) -> None:
        """The future gets a TimeoutError at that time of the loop, if it is not done."""
        heap = self._heap
        while heap and heap[0][2].done():
            heappop(heap)
        self._number += 1
        heappush(heap, (until_s, self._number, waiter))
        if self._timer is None or until_s < self._due_s:
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
        while heap and (heap[0][0] <= now_s or heap[0][2].done()):
            waiter = heappop(heap)[2]
            if not waiter.done():
                waiter.set_exception(TimeoutError())
        if heap:
            self._set_timer()
