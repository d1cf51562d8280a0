"""Loads and their outcomes as values: shared, summed up, and handed to other processes."""

import pickle
from array import array

import pytest

from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load, Outcome, shares, summary
from raftwerk.errors import UsageError


def test_they_go_from_process_to_process() -> None:
    load = Load(Operation.TXN, connections=2, clients=3, seconds=1.5, metadata=b"token")
    outcome = Outcome(array("d", [0.5]), {14: 1}, 2.0, 0.5, {14: "gone"})
    assert pickle.loads(pickle.dumps((load, outcome))) == (load, outcome)


@pytest.mark.parametrize(
    ("load", "processes"),
    [
        (Load(Operation.PUT, connections=2, clients=2, seconds=1), 3),
        (Load(Operation.PUT, connections=3, clients=2, seconds=1), 1),
        (Load(Operation.PUT), 1),
    ],
)
def test_loads_that_are_none(load: Load, processes: int) -> None:
    with pytest.raises(UsageError):
        shares(load, processes)


def test_shares_are_the_whole() -> None:
    load = Load(Operation.PUT, connections=7, clients=100, requests=11, rate=30.0)
    parts = shares(load, 3)
    assert [part.connections for part in parts] == [3, 2, 2]
    assert [part.clients for part in parts] == [34, 33, 33]
    assert [part.requests for part in parts] == [4, 4, 3]
    assert sum(part.rate for part in parts) == 30.0


def test_summary_is_of_all_processes() -> None:
    first = Outcome(array("d", [0.001 * number for number in range(1, 51)]), {14: 1}, 2.0, 0.5)
    second = Outcome(
        array("d", [0.001 * number for number in range(51, 101)]), {14: 2}, 1.0, 0.5, {14: "gone"}
    )
    result = summary([first, second])
    assert (result.requests, result.errors, result.per_second) == (100, {14: 3}, 50.0)
    assert result.error_texts == {14: "gone"}
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == (51.0, 91.0, 100.0)
    assert (result.mean_ms, result.max_ms, result.client_cpu_us) == (50.5, 100.0, 10_000.0)
