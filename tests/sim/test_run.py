"""Whole simulations: a swarm, and that a seed is all there is."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import pytest

from raftwerk.kv.results import PutResult
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.checkers import Violation
from raftwerk.sim.clients.watches import WatchClient
from raftwerk.sim.node import SimNode
from raftwerk.sim.options import FaultOptions
from raftwerk.sim.run import Simulation, plan, run
from raftwerk.sim.world import World


def test_one_seed_gives_one_trace() -> None:
    assert run(2) == run(2)
    assert run(2).hash != run(3).hash


def test_the_order_of_hashes_does_not_matter() -> None:
    """Two processes with other hash seeds run the same simulation, bit by bit. 266: all kinds of clients are at work.

    The second one runs the source, so that compiled code is shown to do the same.
    """
    program = "from raftwerk.sim.run import run; print([run(seed).hash for seed in (5, 6, 266)])"
    source = str(Path(__file__).parents[2] / "src")
    hashes = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed, path in (("0", sys.path), ("123", [source, *sys.path]))
    ]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) > 90


@pytest.mark.parametrize("first", range(1, 41, 5))
def test_swarm(first: int) -> None:
    """Every property holds at every step, and there is progress when the faults are over."""
    for seed in range(first, first + 5):
        report = run(seed)
        assert report.failure is None, str(report.failure)


def test_other_options_and_faults_can_be_given() -> None:
    options, faults = plan(5)
    quiet = replace(options, faults=FaultOptions(), safety_ms=1_000)
    report = run(5, options=quiet, faults=[])
    assert report.failure is None
    assert report.simulated_ms < run(5, options=options, faults=faults[:1]).simulated_ms


class Behind(WatchClient):
    """Lacks events for 3 s, and gets some in each of the seconds in which it is not stuck."""

    stuck_s = range(0)

    def finish(self) -> None:
        """It goes on."""

    def lacks(self) -> str:
        return "lacks [7]" if self.cluster.world.now_us < 3_000_000 else ""

    @property
    def places(self) -> list[int]:
        second = self.cluster.world.now_us // 1_000_000
        return [second if second not in self.stuck_s else self.stuck_s.start]


def test_a_watch_that_is_far_behind_may_take_several_bounds() -> None:
    """Seed 30002229: it lacked 3,000 revisions, and got 1,200 of them in time."""
    simulation = Simulation(1, plan(1)[0], [], None)
    simulation.cluster.start_all()
    client = Behind(simulation.cluster, 1)
    simulation.workload.watches = [client]
    simulation.finish_watches(1_000)
    assert simulation.cluster.world.now_us >= 3_000_000


def test_a_watch_that_is_behind_and_gets_nothing_is_noticed() -> None:
    simulation = Simulation(1, plan(1)[0], [], None)
    simulation.cluster.start_all()
    client = Behind(simulation.cluster, 1)
    client.stuck_s = range(1, 3)
    simulation.workload.watches = [client]
    with pytest.raises(Violation, match=r"lacks \[7\]"):
        simulation.finish_watches(1_000)


class Late:
    """A node that applies an entry in each of the seconds in which it is not stuck, and answers after more than two."""

    def __init__(self, world: World, stuck_s: range = range(0)) -> None:
        self.world, self.stuck_s = world, stuck_s

    @property
    def replica(self) -> Self:
        return self

    @property
    def last_applied(self) -> int:
        second = self.world.now_us // 1_000_000
        return second if second not in self.stuck_s else self.stuck_s.start

    def propose(self, _: bytes, done: Callable[[object], None]) -> None:
        self.world.after(2_500_000, lambda: done(PutResult(1, None)))


@pytest.mark.parametrize(
    ("committed", "stuck_s", "is_in_time"),
    [(3, range(0), True), (3, range(1, 3), False), (0, range(0), False)],
    ids=["behind", "stuck", "not behind"],
)
def test_a_node_that_is_far_behind_may_take_several_bounds(
    committed: int, stuck_s: range, is_in_time: bool
) -> None:
    """Seed 76000647: it lacked 420 entries, and applied three in each twentieth of a second."""
    simulation = Simulation(1, plan(1)[0], [], None)
    cluster = simulation.cluster
    cluster.nodes[1] = cast("SimNode", Late(cluster.world, stuck_s))
    cluster.checks.committed.entries += [
        Entry(n, 1, EntryKind.NO_OP, b"") for n in range(1, committed + 1)
    ]
    with nullcontext() if is_in_time else pytest.raises(Violation, match="no write went through"):
        simulation._make_progress(1, 1_000)
    assert not is_in_time or cluster.world.now_us >= 2_500_000
