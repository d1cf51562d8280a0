"""Counting."""

import pytest

from raftwerk.durations import cumulative
from raftwerk.runtime.metrics import Metrics


@pytest.mark.parametrize(
    ("event", "changes"),
    [("following", 1), ("became leader", 1), ("became candidate", 0), ("stepped down", 0)],
)
def test_leader_changes_are_counted_when_a_leader_is_seen(event: str, changes: int) -> None:
    metrics = Metrics()
    metrics.on_notice(event)
    assert metrics.leader_changes_seen_total == changes


def test_wal_sync_is_observed() -> None:
    metrics = Metrics()
    metrics.observe_wal_sync_s(0.003)
    assert (metrics.wal_sync.count, metrics.wal_sync.sum_s) == (1, 0.003)


def test_loop_lag_is_observed() -> None:
    metrics = Metrics()
    metrics.observe_loop_lag_s(0.012, 0.004)
    assert (metrics.loop_lag.count, metrics.loop_lag.sum_s) == (1, 0.012)
    assert (metrics.loop_lag_own.count, metrics.loop_lag_own.sum_s) == (1, 0.004)
    buckets = dict(cumulative(metrics.loop_lag))
    assert (buckets["0.01"], buckets["0.012"]) == (0, 1)
