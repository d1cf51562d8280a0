"""What a node counts while it works; the server puts it into the format that scrapers read (server/metrics.py).

Plain numbers, changed on the event loop only: no lock, no cost worth mentioning on the hot path.
"""

from raftwerk.durations import Durations


class Metrics:
    """The counters of one node."""

    def __init__(self) -> None:
        self.wal_sync = Durations()
        """Write and sync of one group of the durable log."""
        self.backend_commit = Durations()
        """Commit of one checkpoint of the store."""
        self.loop_lag = Durations()
        """How late the ticks of the clock came: how long something held the event loop."""
        self.loop_lag_own = Durations()
        """How long of that this process was at work itself, at most."""
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
