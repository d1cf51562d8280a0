"""A histogram of durations."""

from itertools import pairwise

import pytest

from raftwerk.durations import DURATION_BOUNDS_S, Durations, cumulative


def test_bounds_double_from_a_tenth_of_a_millisecond() -> None:
    assert DURATION_BOUNDS_S[0] == 0.0001
    assert all(
        larger == pytest.approx(2 * smaller) for smaller, larger in pairwise(DURATION_BOUNDS_S)
    )


@pytest.mark.parametrize(
    ("duration_s", "bucket"),
    [
        (0.0, 0),
        (DURATION_BOUNDS_S[0], 0),
        (DURATION_BOUNDS_S[0] * 1.01, 1),
        (DURATION_BOUNDS_S[5], 5),
        (DURATION_BOUNDS_S[-1], len(DURATION_BOUNDS_S) - 1),
        (1000.0, len(DURATION_BOUNDS_S)),
    ],
)
def test_duration_is_counted_up_to_its_bound(duration_s: float, bucket: int) -> None:
    """A bound belongs to its own bucket, as in Prometheus (le); what is above all of them has one of its own."""
    durations = Durations()
    durations.observe(duration_s)
    assert [number for number, count in enumerate(durations.counts) if count] == [bucket]


def test_bounds_may_be_others() -> None:
    durations = Durations((0.01, 0.02))
    for duration_s in (0.005, 0.01, 0.011, 0.5):
        durations.observe(duration_s)
    assert cumulative(durations) == [("0.01", 2), ("0.02", 3), ("+Inf", 4)]


def test_count_and_sum() -> None:
    durations = Durations()
    for duration_s in (0.001, 0.002, 100.0):
        durations.observe(duration_s)
    assert (durations.count, durations.sum_s) == (3, pytest.approx(100.003))
    durations.observe(0.001, 4)
    assert (durations.count, durations.sum_s) == (7, pytest.approx(100.007))


def test_cumulative_ends_with_all() -> None:
    durations = Durations()
    for duration_s in (DURATION_BOUNDS_S[0], DURATION_BOUNDS_S[1], 100.0):
        durations.observe(duration_s)
    buckets = cumulative(durations)
    assert buckets[0] == (str(DURATION_BOUNDS_S[0]), 1)
    assert buckets[1:-1] == [(str(bound), 2) for bound in DURATION_BOUNDS_S[1:]]
    assert buckets[-1] == ("+Inf", 3)
