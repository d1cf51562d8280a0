"""The benchmarks that run in virtual time: once, tiny."""

import json
from pathlib import Path
from random import Random

import pytest

from benchmarks import elections, simulator
from benchmarks.elections import Range
from raftwerk.raft.config import Config
from raftwerk.raft.transitions import draw_election_timeout_ms
from raftwerk.sim.mutants.mutant import applied
from tests.raft.builder import node


def test_speed_is_kept_for_each_row(tmp_path: Path) -> None:
    kept = json.loads(simulator.simulator(1, 300, tmp_path).read_text())
    assert list(kept["rows"])[-1] == "swarm, seeds 1 to 1"
    assert len(kept["rows"]) == len(simulator.CLUSTERS) + 1
    for row in kept["rows"].values():
        assert row["events"] > 0
        assert row["events_per_second"] > 0
    assert kept["commit"]


def test_elections_are_held_kept_and_drawn(tmp_path: Path) -> None:
    path = elections.measure(2, tmp_path)
    rows = json.loads(path.read_text())["rows"]
    assert all(len(row["down_ms"]) == 2 for row in rows.values())
    assert rows["150-300 ms"]["median_ms"] >= 75
    folder = path.with_suffix("")
    assert {file.name for file in folder.iterdir()} == {
        "down-time.png", "down-time.svg", "split-votes.png", "split-votes.svg",
    }  # fmt: skip


@pytest.mark.parametrize(("width_ms", "highest_ms"), [(0, 150), (5, 155)])
def test_range_is_put_into_the_core(width_ms: int, highest_ms: int) -> None:
    state = node(1, config=Config(heartbeat_interval_ms=75, election_timeout_ms=150)).state
    state.random = Random(1)
    mutant = Range(150, width_ms).mutant()
    assert mutant is not None
    with applied(mutant):
        drawn = {draw_election_timeout_ms(state) for _ in range(100)}
    assert (min(drawn), max(drawn)) == (150, highest_ms)


def test_range_of_the_core_needs_no_mutant() -> None:
    assert Range(150, 150).mutant() is None
