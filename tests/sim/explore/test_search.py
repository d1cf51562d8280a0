"""Whole explorations, small ones. Their numbers are exact: a reduction that leaves out more, or less, shows."""

from contextlib import nullcontext

import pytest

from raftwerk.raft.types import NodeId
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Act, Action
from raftwerk.sim.explore.report import Report
from raftwerk.sim.explore.search import Search, bits
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied

SMALL = Bounds(terms=1, proposals=0, is_disk_instant=True)


def explore(bounds: Bounds, mutant: str = "", *, has_symmetry: bool = True) -> Report:
    with applied(BY_NAME[mutant]) if mutant else nullcontext():
        return Search(bounds, has_symmetry=has_symmetry).run(states_max=100_000)


@pytest.mark.parametrize(
    ("bounds", "states", "depth"),
    [
        (SMALL, 2_261, 15),
        (Bounds(terms=1, proposals=0), 7_743, 23),
        (Bounds(nodes=2, terms=1, proposals=1, reads=1, crashes=1), 14_852, 24),
    ],
    ids=["instant disk", "slow disk", "two nodes, clients, a crash"],
)
def test_everything_within_bounds_is_visited_and_well(
    bounds: Bounds, states: int, depth: int
) -> None:
    report = explore(bounds)
    assert report.counter_example is None
    assert report.is_complete
    assert (report.states, len(report.levels) - 2) == (states, depth - 1)


def test_without_symmetry_the_verdict_is_the_same() -> None:
    """Three nodes have six names for one state, or fewer where nodes are alike."""
    report, reduced = explore(SMALL, has_symmetry=False), explore(SMALL)
    assert report.is_complete
    assert report.states == 13_481
    assert len(report.levels) == len(reduced.levels)
    assert reduced.states <= report.states <= 6 * reduced.states


def test_two_explorations_are_the_same() -> None:
    one, other = explore(SMALL), explore(SMALL)
    one.seconds = other.seconds = 0
    assert one == other


@pytest.mark.parametrize(
    ("mutant", "invariant", "steps"),
    [
        ("vote-not-persisted", "Durability", 8),
        ("stale-vote-counted", "Elected by a majority", 7),
        ("two-votes-in-a-term", "Durability", 5),
        ("reply-before-durable", "Durability", 6),
        ("term-sent-before-durable", "Durability", 1),
        ("minority-is-enough", "Elected by a majority", 2),
        ("commit-counts-own-undurable", "Committed on a quorum", 8),
    ],
)
def test_shallow_mutants_are_found_by_a_shortest_way(
    mutant: str, invariant: str, steps: int
) -> None:
    example = explore(Bounds(terms=2, proposals=1, crashes=1), mutant).counter_example
    assert example is not None
    assert (example.invariant, len(example.steps)) == (invariant, steps)
    assert explore_without_symmetry(mutant) == steps


def explore_without_symmetry(mutant: str) -> int:
    bounds = Bounds(terms=2, proposals=1, crashes=1)
    example = explore(bounds, mutant, has_symmetry=False).counter_example
    assert example is not None
    return len(example.steps)


def test_a_search_can_be_stopped_and_says_what_it_covered() -> None:
    search = Search(Bounds(terms=2, proposals=1))

    def stop(report: Report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.run(on_progress=stop)
    assert not search.report.is_complete
    assert search.report.depth >= 3


def test_a_start_that_is_given() -> None:
    report = explore(Bounds(nodes=2, terms=2, proposals=0, start="1 / 1", is_disk_instant=True))
    assert (report.is_complete, report.states) == (True, 32), "one election is left in these bounds"


def test_a_stale_read_is_found() -> None:
    bounds = Bounds(reads=1, proposals=0, start="1 / 1 / 1", committed=1, is_disk_instant=True)
    example = explore(bounds, "read-before-the-no-op-commits").counter_example
    assert example is not None
    assert example.invariant == "Linearizable reads"


def test_bits() -> None:
    numbers: list[NodeId] = list(bits(0b10110))
    assert numbers == [1, 2, 4]


def test_a_step_is_an_action_of_a_node() -> None:
    example = explore(Bounds(), "term-sent-before-durable").counter_example
    assert example is not None
    assert example.steps == [(1, Action(Act.ELECTION))]
