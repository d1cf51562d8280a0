"""How fast the simulator is: events a second, and virtual seconds in a minute, of CPU time of one process.

python -m benchmarks.simulator [--seeds N]

A row is a cluster at work without faults, or the swarm: seeds with everything that they draw, from the first one on.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.groups import Figures, Rows
from raftwerk.raft.membership import Membership
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.network import NetworkOptions
from raftwerk.sim.options import Options, WorkloadOptions
from raftwerk.sim.run import run
from raftwerk.sim.workload import Workload

FIRST_SEED: Final = 1
SEEDS: Final = 40
CLUSTER_MS: Final = 20_000

BUSY: Final = WorkloadOptions(clients=6, pause_mean_us=20_000)
EVERYTHING: Final = replace(BUSY, sessions=4, leases=2, watches=4, admins=1)
LOSSY: Final = NetworkOptions(loss=0.05, duplication=0.05, straggling=0.02)
CLUSTERS: Final = {
    "three nodes, nobody calls": Options(workload=replace(BUSY, clients=0)),
    "three nodes, six clients": Options(workload=BUSY),
    "five nodes, all kinds of clients, a lossy network": Options(
        membership=Membership((1, 2, 3, 4, 5)), workload=EVERYTHING, network=LOSSY
    ),
}

Work = Callable[[], tuple[int, int]]
"""Simulates; returns (events, virtual milliseconds)."""


def cluster_at_work(options: Options, duration_ms: int) -> tuple[int, int]:
    """One cluster, from its start on."""
    cluster = Cluster(FIRST_SEED, options)
    cluster.start_all()
    Workload(cluster).start()
    cluster.run_ms(duration_ms)
    return cluster.world.step, duration_ms


def swarm(seeds: int) -> tuple[int, int]:
    """Whole runs, with all faults and checks of each seed."""
    reports = [run(seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    assert all(one.failure is None for one in reports), "a failure ends its run early"
    return sum(one.events for one in reports), sum(one.simulated_ms for one in reports)


def measured(work: Work) -> Figures:
    """One row."""
    start_s = time.process_time()
    events, simulated_ms = work()
    cpu_s = time.process_time() - start_s
    return {
        "events_per_second": round(events / cpu_s, 1),
        "virtual_seconds_per_minute": round(60 * simulated_ms / 1000 / cpu_s, 1),
        "events": events,
        "virtual_seconds": round(simulated_ms / 1000, 1),
        "cpu_seconds": round(cpu_s, 2),
    }


def simulator(seeds: int, cluster_ms: int, folder: Path) -> Path:
    """Measure, print and keep; returns the file with the figures."""
    rows: Rows = {
        name: measured(lambda options=options: cluster_at_work(options, cluster_ms))  # type: ignore[misc]
        for name, options in CLUSTERS.items()
    }
    rows[f"swarm, seeds {FIRST_SEED} to {FIRST_SEED + seeds - 1}"] = measured(lambda: swarm(seeds))
    table = Table("what runs", *(name.replace("_", " ") for name in next(iter(rows.values()))))
    for name, figures in rows.items():
        table.add_row(name, *(report.cell(figures, figure) for figure in figures))
    console = Console()
    console.width = max(console.width, 140)
    console.print(table)
    what = "one process; seconds and minutes are of its CPU time, with all checks on"
    return report.keep("simulator", {"what": what, "rows": rows}, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder")
    given = parser.parse_args()
    print(f"kept in {simulator(given.seeds, CLUSTER_MS, given.results)}")


if __name__ == "__main__":
    main()
