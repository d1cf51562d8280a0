"""etcd and raftwerk side by side: three nodes each, alternating rounds on this machine, the same load generator.

python -m benchmarks.compare [--only put,range] [--rounds 3] [--full] [--quick]

Prints medians over the rounds and the ratio raftwerk / etcd, keeps all figures with machine and commit as JSON, and draws
plots beside it, under benchmarks/results/. Ratios say something; absolute figures belong to the machine and the hour.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import (
    check_perf,
    cores,
    crashes,
    embedded,
    lag,
    lease,
    loads,
    own_client,
    plots,
    report,
    turn_loads,
    watch,
)
from benchmarks.groups import Group, Scale

GROUPS: Final = (
    *loads.GROUPS,
    lag.GROUP,
    cores.GROUP,
    watch.GROUP,
    lease.GROUP,
    own_client.GROUP,
    embedded.GROUP,
    *crashes.GROUPS,
    check_perf.GROUP,
    turn_loads.GROUP,  # last: without perf it fails, and what was measured before that is kept
)


def chosen(only: str, *, is_full: bool) -> list[Group]:
    """The groups to be measured. Raises SystemExit for a name that is none."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = set(names) - {group.name for group in GROUPS}
    if unknown:
        known = ", ".join(group.name for group in GROUPS)
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; there are: {known}")
    if names:
        return [group for group in GROUPS if group.name in names]
    return [group for group in GROUPS if is_full or not group.is_long]


def measure(group: Group, rounds: int, scale: Scale, console: Console) -> report.Measured:
    """All rounds of a group, the systems by turns."""
    measured: report.Measured = {}
    for number in range(1, rounds + 1):
        for system in group.systems:
            with console.status(f"{group.name}: {system}, round {number} of {rounds}"):
                report.add(measured, system, group.measure(system, scale))
    return measured


def compare(groups: Sequence[Group], rounds: int, scale: Scale, folder: Path) -> Path:
    """Measure, print, keep and draw; returns the file with the figures. When a group fails, those before it are kept."""
    console = Console()
    console.width = max(console.width, 160)
    started = time.monotonic()
    found: dict[str, report.Measured] = {}
    try:
        for group in groups:
            found[group.name] = measure(
                group, 1 if scale.is_quick else group.rounds or rounds, scale, console
            )
            report.print_group(group, found[group.name], console)
    finally:
        content = {
            "what": "each round of each system, in alternation; three nodes each, one load generator",
            "is_quick": scale.is_quick,
            "seconds": round(time.monotonic() - started),
            "groups": found,
        }
        path = report.keep("compare", content, folder)
        drawn = plots.draw(found, path.with_suffix(""))
        console.print(
            f"kept in {path}, with {len(drawn)} plots beside it, after {content['seconds']} s"
        )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="groups, comma-separated: " + ", ".join(group.name for group in GROUPS),
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--full",
        action="store_true",
        help="what takes long or much too: etcdctl check perf, ten million keys, turns of the loop",
    )
    parser.add_argument("--quick", action="store_true", help="tiny loads, one round: to try it")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be 1 at least")
    try:
        given.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--results {given.results} cannot be made: {error.strerror}")
    groups = chosen(given.only, is_full=given.full)
    package = report.machine()["package"]
    if package == "plain" and loads.COMPILED in groups:
        if given.only:
            parser.error("the group compiled needs the compiled package: make bench")
        groups.remove(loads.COMPILED)
    print(f"the package is {package}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # with its nodes
    compare(groups, given.rounds, Scale(given.quick), given.results)


if __name__ == "__main__":
    main()
