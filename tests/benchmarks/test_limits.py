"""The hard limits on real processes, at a size that the suite can afford; `make limits` has the large ones."""

from collections.abc import Iterator

import pytest

from benchmarks import limits
from benchmarks.clusters import Node, running

KEYS = 200_000
SLICED = 30
"""Puts beside a range of them: a put takes some turns of the loop, each with one slice of 1,000 rows, which makes 50 and more
however fast the machine is. Read in one piece, it was 5 to 20."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    """Three, the leader first. Each trial checks that it still leads afterwards."""
    with running("raftwerk") as nodes:
        yield nodes


@pytest.fixture(scope="module")
def filled(nodes: list[Node]) -> list[Node]:
    limits.fill(nodes, KEYS)
    return nodes


def test_huge_range_is_answered_while_others_are_served(filled: list[Node]) -> None:
    trial = limits.huge_range(filled, KEYS)
    assert trial.others >= SLICED, "it is read in slices"


def test_pages_are_complete_and_cost_no_memory(filled: list[Node]) -> None:
    assert limits.pages(filled, KEYS).others >= 10


def test_watch_on_everything_gets_all_events_of_a_full_load(nodes: list[Node]) -> None:
    assert limits.watch_everything(nodes, 10_000).others >= 10


def test_thousand_connections_are_all_served(nodes: list[Node]) -> None:
    assert limits.many_connections(nodes, 1_000).others >= 10


def test_largest_requests_are_taken_and_larger_ones_refused(nodes: list[Node]) -> None:
    assert "refused" in limits.large_requests(nodes).happened


def test_watchers_each_with_a_stream(nodes: list[Node]) -> None:
    assert limits.many_watchers(nodes, 200).others
