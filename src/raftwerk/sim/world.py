"""Virtual time: actions in the order of their times, and at one time in the order in which they were scheduled.

Nothing here knows a wall clock. Randomness comes in independent streams, one for each part of the simulation, all made
from the one seed: what one part draws does not change what another one does.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

Action = Callable[[], None]


class World:
    """The event heap and the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_us = 0
        self.step = 0
        """Actions carried out so far."""
        self._heap: list[tuple[int, int, Action]] = []
        self._scheduled = 0

    def stream(self, name: str) -> Random:
        """The random stream of one part, always the same for one seed and name."""
        return Random(f"{self.seed}/{name}")

    def after(self, delay_us: int, action: Action) -> None:
        """Carry out `action` when delay_us have gone by."""
        assert delay_us >= 0
        self._scheduled += 1
        heappush(self._heap, (self.now_us + delay_us, self._scheduled, action))

    def run_until(self, time_us: int, is_done: Callable[[], bool] | None = None) -> bool:
        """Let time go by, up to time_us or until is_done (asked after each action). Returns whether it was done."""
        heap = self._heap
        while heap and heap[0][0] <= time_us:
            self.now_us, _, action = heappop(heap)
            self.step += 1
            action()
            if is_done is not None and is_done():
                return True
        self.now_us = max(self.now_us, time_us)
        return False
