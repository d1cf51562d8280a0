"""What a node counts while it works; the server puts it into the format that scrapers read (server/metrics.py).

Plain numbers, changed on the event loop only: no lock, no cost worth mentioning on the hot path.
"""

from bisect import bisect_left
from typing import Final

DURATION_BOUNDS_S: Final = tuple(0.0001 * 2**k for k in range(16))
"""Upper bounds of the histograms: 0.1 ms to 3.3 s."""


class Durations:
    """A histogram of durations. counts: one for each bound, and one for what is above all of them."""

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        self.counts[bisect_left(DURATION_BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    @property
    def count(self) -> int:
        return sum(self.counts)


class Metrics:
    """The counters of one node."""

    def __init__(self) -> None:
        self.wal_sync = Durations()
        """Write and sync of one group of the durable log."""
        self.backend_commit = Durations()
        """Commit of one checkpoint of the store."""
        self.leader_changes_seen_total = 0

    def observe_wal_sync_s(self, duration_s: float) -> None:
        self.wal_sync.observe(duration_s)

    def observe_commit_s(self, duration_s: float) -> None:
        self.backend_commit.observe(duration_s)

    def on_notice(self, event: str) -> None:
        if event in ("following", "became leader"):
            self.leader_changes_seen_total += 1
