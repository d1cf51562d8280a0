"""Plots of a run, as PNG and SVG: python -m benchmarks.plots RESULTS.json draws them again."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import Measured, medians

COLOURS: Final = {"etcd": "#4c72b0", "raftwerk": "#dd8452"}
PERCENTILES: Final = {"p50_ms": "-", "p99_ms": "--"}

mpl.rcParams["svg.hashsalt"] = "raftwerk"  # the same figures give the same file


def series(measured: Measured, system: str, figure: str) -> tuple[list[float], list[float]]:
    """(number in the row's name, median) of the rows that this system has."""
    points = []
    for name, systems in measured.items():
        number = next((word for word in name.replace(",", "").split() if word.isdigit()), None)
        if number is not None and system in systems:
            points.append((float(number), medians(systems[system])[figure]))
    points.sort()
    return [x for x, _ in points], [y for _, y in points]


def concurrency(axes: Axes, measured: Measured) -> None:
    for system, colour in COLOURS.items():
        axes.plot(*series(measured, system, "per_second"), "o-", color=colour, label=system)
    axes.set(
        xscale="log", xlabel="clients", ylabel="puts a second", title="Throughput by concurrency"
    )


def rate(axes: Axes, measured: Measured) -> None:
    for system, colour in COLOURS.items():
        for percentile, style in PERCENTILES.items():
            label = f"{system}, {percentile.removesuffix('_ms')}"
            axes.plot(
                *series(measured, system, percentile), style, marker="o", color=colour, label=label
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="puts a second, at even times",
        ylabel="ms from when it was due",
        title="Latency by load (a line ends where the system does not keep up)",
    )


def keys(axes: Axes, measured: Measured) -> None:
    rows = {
        name.removeprefix("put 1/1 with "): row
        for name, row in measured.items()
        if name.startswith("put 1/1")
    }
    for system, colour in COLOURS.items():
        for percentile, style in PERCENTILES.items():
            label = f"{system}, {percentile.removesuffix('_ms')}"
            axes.plot(
                *series(rows, system, percentile), style, marker="o", color=colour, label=label
            )
    axes.set(
        xscale="log", xlabel="keys", ylabel="ms, one client", title="Put latency by number of keys"
    )
    axes.set_ylim(bottom=0)


def failover(axes: Axes, measured: Measured) -> None:
    """Each try as a step: the part of the tries whose gap was at most so long."""
    for system, colour in COLOURS.items():
        gaps = sorted(one["gap_ms"] for one in measured["gap"].get(system, []))
        parts = [(place + 1) / len(gaps) for place in range(len(gaps))]
        axes.step(
            [0.0, *gaps],
            [0.0, *parts],
            where="post",
            color=colour,
            label=f"{system}, {len(gaps)} tries",
        )
    axes.set(
        xlabel="ms from kill -9 of the leader to the first write",
        ylabel="part of the tries",
        title="Fail-over",
    )


DRAWERS: Final[dict[str, Callable[[Axes, Measured], None]]] = {
    "concurrency": concurrency,
    "rate": rate,
    "keys": keys,
    "failover": failover,
}


def draw(groups: dict[str, Measured], folder: Path) -> list[Path]:
    """Plots of the groups that have one, into a folder that is made; returns the files."""
    files = []
    for name, drawer in DRAWERS.items():
        if name not in groups:
            continue
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        drawer(axes, groups[name])
        axes.grid(alpha=0.3)
        axes.legend()
        files += save(figure, folder, name)
    return files


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """As PNG and SVG, into a folder that is made; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for suffix in ("png", "svg"):
        path = folder / f"{name}.{suffix}"
        metadata = {"Date": None} if suffix == "svg" else None
        figure.savefig(path, dpi=144, metadata=metadata)
        files.append(path)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    path = parser.parse_args().results
    for file in draw(json.loads(path.read_text())["groups"], path.with_suffix("")):
        print(file)


if __name__ == "__main__":
    main()
