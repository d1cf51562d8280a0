"""What a node counts while it works; the server puts it into the format that scrapers read (server/metrics.py).

Plain numbers, changed on the event loop only: no lock, no cost worth mentioning on the hot path.
"""

from typing import Final

from raftwerk.durations import Durations

LAG_BOUNDS_S: Final = tuple(
    number / 1000 for number in (1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30, 50, 100, 200, 500, 1000)
)
"""Upper bounds for the lag of the event loop, closest about 10 ms: nothing may hold it up for longer."""


class Metrics:
    """The counters of one node."""

    def __init__(self) -> None:
        self.wal_sync = Durations()
        """Write and sync of one group of the durable log."""
        self.backend_commit = Durations()
        """Commit of one checkpoint of the store."""
        self.loop_lag = Durations(LAG_BOUNDS_S)
        """How late the ticks of the clock came: how long something held the event loop."""
        self.loop_lag_own = Durations(LAG_BOUNDS_S)
        """How much of that was this process's own doing, about: for the rest it waited for a core."""
        self.leader_changes_seen_total = 0

    def observe_wal_sync_s(self, duration_s: float) -> None:
        self.wal_sync.observe(duration_s)

    def observe_commit_s(self, duration_s: float) -> None:
        self.backend_commit.observe(duration_s)

    def observe_loop_lag_s(self, lag_s: float, own_s: float) -> None:
        """own_s: see Clock."""
        self.loop_lag.observe(lag_s)
        self.loop_lag_own.observe(own_s)

    def on_notice(self, event: str) -> None:
        if event in ("following", "became leader"):
            self.leader_changes_seen_total += 1
