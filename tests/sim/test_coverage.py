"""Coverage marks."""

from collections import Counter

from raftwerk.sim.coverage import EXPECTED, Coverage, never_visited


def test_marks_are_counted_and_missing_ones_named() -> None:
    coverage = Coverage()
    coverage.mark("a")
    coverage.mark("a")
    assert coverage.counts == {"a": 2}
    assert never_visited(coverage.counts, ("a", "b")) == ["b"]


def test_expected_marks_are_each_named_once() -> None:
    assert never_visited(Counter(EXPECTED)) == []
    assert len(set(EXPECTED)) == len(EXPECTED)
