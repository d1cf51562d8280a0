"""What a run leaves: tables on the terminal, JSON with machine and commit."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.groups import Figures, Group, Rows
from raftwerk.http2 import server

RESULTS: Final = Path(__file__).parent / "results"

NOT_PRINTED: Final = ("p90_ms", "p999_ms", "max_ms")
"""They are in the JSON."""

Measured = dict[str, dict[str, list[Figures]]]
"""By row, by system: the figures of each round."""


def medians(rounds: Sequence[Figures]) -> Figures:
    """Of what all rounds have."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def add(measured: Measured, system: str, rows: Rows) -> None:
    """One round of one system."""
    for name, figures in rows.items():
        measured.setdefault(name, {}).setdefault(system, []).append(figures)


def print_group(group: Group, measured: Measured, console: Console) -> None:
    """Rows with the same figures share a table. A cell holds the medians of the systems; the ratio is that of the first
    figure, raftwerk by each of the others."""
    tables: dict[tuple[str, ...], dict[str, dict[str, Figures]]] = {}
    for title, systems in measured.items():
        row = {system: medians(rounds) for system, rounds in systems.items()}
        names = tuple(name for name in next(iter(row.values())) if name not in NOT_PRINTED)
        tables.setdefault(names, {})[title] = row
    console.print(f"[bold]{group.title}[/bold]: {' / '.join(group.systems)}")
    for names, rows in tables.items():
        table = Table()
        table.add_column(group.name, no_wrap=True)
        for name in (names[0], "ratio", *names[1:]):
            table.add_column(name, justify="right", no_wrap=True)
        for title, row in rows.items():
            first, *cells = (
                " / ".join(cell(row.get(system), name) for system in group.systems)
                for name in names
            )
            table.add_row(title, first, ratio(row, group.systems, names[0]), *cells)
        console.print(table)


def cell(figures: Figures | None, name: str) -> str:
    if figures is None or name not in figures:
        return "-"
    value = figures[name]
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(row: Mapping[str, Figures], systems: Sequence[str], name: str) -> str:
    ours = row.get("raftwerk", {}).get(name)
    others = [row.get(system, {}).get(name) for system in systems if system != "raftwerk"]
    if ours is None:
        return "-"
    return " / ".join(f"{ours / other:.2f}" if other else "-" for other in others)


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
        "host": platform.node(),
        "cpu": model,
        "cores": str(os.cpu_count()),
        "memory_gib": str(round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version,  # with the build: one made without its profile is slower
        "package": "plain" if str(server.__file__).endswith(".py") else "compiled",
        "load_average": f"{os.getloadavg()[0]:.1f}",
    }


def commit() -> str:
    """The commit that was measured, with + when the sources have changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    name = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changes = subprocess.run(
        [*git, "status", "--porcelain", "../src"], capture_output=True, check=False
    )
    return (name.stdout.strip() or "unknown") + ("+" if changes.stdout.strip() else "")


def keep(kind: str, content: Mapping[str, object], folder: Path = RESULTS) -> Path:
    """Write JSON with what and where it was; returns the file. kind: the beginning of its name."""
    now = datetime.now(UTC)
    head = {
        "at": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{now:%Y%m%d-%H%M%S}-{head['commit']}.json"
    path.write_text(json.dumps({**head, **content}, indent=1) + "\n")
    return path
