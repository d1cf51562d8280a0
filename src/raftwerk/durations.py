"""A histogram of durations: plain numbers that whoever measures adds to, at no cost worth mentioning on the hot path."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

DURATION_BOUNDS_S: Final = tuple(0.0001 * 2**k for k in range(16))
"""Upper bounds of the histograms: 0.1 ms to 3.3 s."""


class Durations:
    """counts: one for each bound, and one for what is above all of them."""

    __slots__ = ("bounds_s", "counts", "sum_s")

    def __init__(self, bounds_s: Sequence[float] = DURATION_BOUNDS_S) -> None:
        """bounds_s: upper bounds, in order."""
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float, count: int = 1) -> None:
        """count: how many took so long."""
        self.counts[bisect_left(self.bounds_s, duration_s)] += count
        self.sum_s += duration_s * count

    @property
    def count(self) -> int:
        return sum(self.counts)


def cumulative(durations: Durations) -> list[tuple[str, float]]:
    """(upper bound, how many are not above it), as Prometheus wants a histogram; the last bound is +Inf."""
    bounds = [*map(str, durations.bounds_s), "+Inf"]
    return list(zip(bounds, accumulate(durations.counts), strict=True))
