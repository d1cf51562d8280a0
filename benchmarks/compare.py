"""etcd and raftwerk side by side: three nodes each, alternating rounds on this machine, the same load generator.

python -m benchmarks.compare [--rounds N] [--quick]

Prints medians over the rounds and the ratio raftwerk / etcd, and keeps them, with machine and commit, as JSON under
benchmarks/results/. Ratios say something; absolute figures belong to the machine and the hour.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.clusters import SYSTEMS, Node, running
from raftwerk.client.load import Load, Result
from raftwerk.client.load_requests import Operation

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table. is_spread: connections go to all members, else to the leader."""

    name: str
    load: Load
    is_spread: bool = False


CASES: Final = (
    Case("put 1/1, leader", Load(Operation.PUT, 1, 1, 2_000)),
    Case("put 10/200, 1 KiB, leader", Load(Operation.PUT, 10, 200, 20_000, value_bytes=1024)),
    Case("put 100/1000, leader", Load(Operation.PUT, 100, 1000, 40_000)),
    Case("put 100/1000, all", Load(Operation.PUT, 100, 1000, 40_000), is_spread=True),
    Case("txn of 4 puts 100/1000, all", Load(Operation.TXN, 100, 1000, 10_000), is_spread=True),
    Case("mixed 90/10 100/1000, all", Load(Operation.MIXED, 100, 1000, 40_000), is_spread=True),
    Case("range linearizable 1/1, leader", Load(Operation.RANGE, 1, 1, 4_000)),
    Case(
        "range linearizable 100/1000, all", Load(Operation.RANGE, 100, 1000, 40_000), is_spread=True
    ),
    Case(
        "range serializable 100/1000, all",
        Load(Operation.SERIALIZABLE, 100, 1000, 40_000),
        is_spread=True,
    ),
)

Figures = dict[str, float]


def measure(case: Case, nodes: Sequence[Node]) -> Figures:
    """One load on a running cluster. The generator is a process of its own, as it would be elsewhere."""
    endpoints = nodes if case.is_spread else nodes[:1]
    load = case.load
    options = [
        f"--connections={load.connections}",
        f"--clients={load.clients}",
        f"--requests={load.requests}",
        f"--value-bytes={load.value_bytes}",
        f"--keys={load.keys}",
    ]
    before = sum(node.cpu_s for node in nodes)
    where = ",".join(node.endpoint for node in endpoints)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "raftwerk",
            "bench",
            load.operation,
            *options,
            f"--endpoints={where}",
            "--json",
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    result = Result(**json.loads(done.stdout))
    if result.errors:
        raise RuntimeError(f"{case.name}: {result.errors} requests failed")
    cpu = sum(node.cpu_s for node in nodes) - before
    figures = asdict(result)
    return {
        "per_second": figures["per_second"],
        "mean_ms": figures["mean_ms"],
        "p50_ms": figures["p50_ms"],
        "p99_ms": figures["p99_ms"],
        "server_cpu_us": 1e6 * cpu / result.requests,
        "client_cpu_us": figures["client_cpu_us"],
    }


def compare(cases: Sequence[Case], rounds: int, console: Console) -> dict[str, dict[str, Figures]]:
    """Medians by case and system."""
    seen: dict[str, dict[str, list[Figures]]] = {
        case.name: {system: [] for system in SYSTEMS} for case in cases
    }
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=rounds * len(SYSTEMS) * len(cases))
        for _ in range(rounds):
            for system in SYSTEMS:
                with running(system) as nodes:
                    for case in cases:
                        progress.update(task, description=f"{system}: {case.name}")
                        seen[case.name][system].append(measure(case, nodes))
                        progress.advance(task)
    return {
        name: {
            system: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            for system, runs in systems.items()
        }
        for name, systems in seen.items()
    }


def print_table(medians: dict[str, dict[str, Figures]], console: Console) -> None:
    table = Table(title="three nodes each; pairs are etcd / raftwerk")
    table.add_column("load (connections/clients)", no_wrap=True)
    for title in ("ops/s", "ratio", "p50 ms", "p99 ms", "server CPU us"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, systems in medians.items():
        etcd, ours = systems["etcd"], systems["raftwerk"]
        table.add_row(
            name,
            f"{etcd['per_second']:,.0f} / {ours['per_second']:,.0f}",
            f"[bold]{ours['per_second'] / etcd['per_second']:.2f}",
            *(f"{etcd[key]:.1f} / {ours[key]:.1f}" for key in ("p50_ms", "p99_ms")),
            f"{etcd['server_cpu_us']:.0f} / {ours['server_cpu_us']:.0f}",
        )
    console.print(table)


def machine() -> dict[str, str]:
    """Where this ran."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit that was measured, with + when the tree has changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changes = subprocess.run([*git, "status", "--porcelain", "../src"], capture_output=True)
    return name.stdout.strip() + ("+" if changes.stdout.strip() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests: to try it")
    given = parser.parse_args()
    cases = list(CASES)
    if given.quick:
        cases = [
            replace(case, load=replace(case.load, requests=max(1000, case.load.requests // 10)))
            for case in cases
        ]
    console = Console()
    console.width = max(console.width, 100)
    started = time.monotonic()
    medians = compare(cases, given.rounds, console)
    print_table(medians, console)
    now = datetime.now(UTC)
    report = {
        "what": "medians of alternating rounds, three nodes each, one load generator",
        "at": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "rounds": given.rounds,
        "seconds": round(time.monotonic() - started),
        "medians": medians,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"compare-{now:%Y%m%d-%H%M}-{report['commit']}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"kept in {path}")


if __name__ == "__main__":
    main()
