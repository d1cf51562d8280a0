"""`raftwerk sim`: simulations of the production code, from seeds: a swarm, one seed, a scenario, or the mutants."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.sim.campaign import Catch, Summary, campaign, hunt
from raftwerk.sim.coverage import never_visited
from raftwerk.sim.mutants.catalogue import BY_NAME, MUTANTS
from raftwerk.sim.mutants.mutant import Mutant
from raftwerk.sim.run import Failure, Report, plan, run
from raftwerk.sim.scenarios.catalogue import SCENARIOS, find, perform
from raftwerk.sim.shrink import shrink

RUNS = 100
MARKS_AFTER_RUNS = 1_000
"""So many runs should visit everything."""
ATTEMPTS = 200

console = Console(highlight=False)


def sim(
    seed: Annotated[int | None, typer.Option(help="Run this one seed, and tell its story.")] = None,
    runs: Annotated[int | None, typer.Option(help="How many seeds.")] = None,
    minutes: Annotated[float | None, typer.Option(help="As many seeds as fit in.")] = None,
    first: Annotated[int, typer.Option(help="The first seed of many.")] = 1,
    jobs: Annotated[int, typer.Option(help="Processes; 0: one for each core.")] = 0,
    scenario: Annotated[
        str, typer.Option(help="Play this scenario; 'all': every one; 'list': their names.")
    ] = "",
    mutant: Annotated[str, typer.Option(help="Look for a seed that catches this defect.")] = "",
    mutants: Annotated[bool, typer.Option("--mutants", help="The same for all defects.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write the trace of the run here.")] = None,
) -> None:
    """Run the production code in virtual time, on a faulty network and faulty disks, from a seed."""
    jobs = jobs or os.cpu_count() or 1
    try:
        if mutant or mutants:
            is_well = _hunt(_chosen(mutant), jobs)
        elif scenario:
            is_well = _scenarios(scenario, seed or 1, trace)
        elif seed is not None:
            is_well = _one(seed, trace)
        else:
            is_well = _swarm(first, runs, minutes, jobs)
    except RaftwerkError as error:
        console.print(f"[red]raftwerk sim:[/red] {error}")
        raise typer.Exit(2) from error
    raise typer.Exit(0 if is_well else 1)


def _file(trace: Path | None) -> "nullcontext[TextIO | None] | TextIO":
    return nullcontext(None) if trace is None else trace.open("w")


def _one(seed: int, trace: Path | None) -> bool:
    options, faults = plan(seed)
    console.print(options)
    for fault in faults:
        console.print(f"  {fault.at_ms:6} ms  {fault.kind}")
    with _file(trace) as file:
        report = run(seed, file=file)
    console.print(
        f"seed {seed}: {report.events} events, {report.simulated_ms / 1000:.1f} s of virtual time, "
        f"{report.operations} operations, trace {report.hash}"
    )
    if report.failure is None:
        console.print("[green]Every property held.[/green]")
        return True
    console.print(str(report.failure), markup=False)
    smaller = shrink(seed)
    if smaller is not None:
        console.print(f"\nafter {smaller.attempts} attempts, this is enough to break it:")
        console.print(smaller.options)
        for fault in smaller.faults:
            console.print(f"  {fault}")
    return False


def _seeds(first: int, runs: int | None) -> Iterator[int]:
    return iter(range(first, first + runs)) if runs is not None else itertools.count(first)


def _swarm(first: int, runs: int | None, minutes: float | None, jobs: int) -> bool:
    if runs is None and minutes is None:
        runs = RUNS
    seconds_max = float("inf") if minutes is None else 60 * minutes
    text = TextColumn("{task.description}")
    with Progress(
        SpinnerColumn(), text, BarColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        total = runs if runs is not None else seconds_max
        task = progress.add_task("seeds", total=total)

        def on_report(report: Report, summary: Summary) -> None:
            done = summary.runs if runs is not None else summary.seconds
            words = f"{summary.runs} runs, {summary.simulated_ms / 1000:.0f} s simulated"
            progress.update(task, completed=done, description=words)
            if report.failure is not None:
                console.print(f"[red]seed {report.seed}: {report.failure.invariant}[/red]")

        with ProcessPoolExecutor(jobs) as executor:
            seeds = _seeds(first, runs)
            summary = campaign(executor, jobs, seeds, seconds_max=seconds_max, on_report=on_report)
    return _tell(summary)


def _tell(summary: Summary) -> bool:
    table = Table("mark", "how often", title="what really happened")
    for name, count in sorted(summary.coverage.items()):
        table.add_row(name, str(count))
    console.print(table)
    seconds = max(summary.seconds, 0.001)
    console.print(
        f"{summary.runs} runs, {summary.simulated_ms / 1000:.0f} s of virtual time, {summary.operations} operations, "
        f"{summary.events} events in {seconds:.0f} s ({summary.events / seconds:.0f} a second)"
    )
    missing = never_visited(summary.coverage)
    if missing:
        console.print(f"[yellow]never visited:[/yellow] {', '.join(missing)}")
    for failure in summary.failures:
        console.print(str(failure), markup=False)
    if not summary.failures:
        console.print("[green]Every property held in every run.[/green]")
    is_long = summary.runs >= MARKS_AFTER_RUNS
    return not summary.failures and not (is_long and missing)


def _scenarios(name: str, seed: int, trace: Path | None) -> bool:
    if name == "list":
        for scenario in SCENARIOS.values():
            console.print(f"[bold]{scenario.name}[/bold]  {scenario.text}")
        return True
    chosen = list(SCENARIOS.values()) if name == "all" else [find(name)]
    failures: list[Failure] = []
    for scenario in chosen:
        with _file(trace) as file:
            failure = perform(scenario, seed, file)
        word = "[green]ok[/green]" if failure is None else "[red]broken[/red]"
        console.print(f"{word}  {scenario.name}")
        if failure is not None:
            failures.append(failure)
    for failure in failures:
        console.print(str(failure), markup=False)
    return not failures


def _chosen(name: str) -> list[Mutant]:
    if name and name not in BY_NAME:
        raise UsageError(f"there is no mutant {name!r}; there are: {', '.join(BY_NAME)}")
    return [BY_NAME[name]] if name else list(MUTANTS)


def _hunt(chosen: list[Mutant], jobs: int) -> bool:
    """Each mutant lives in the process of its worker alone, and goes when it is done."""
    table = Table("mutant", "runs", "seed", "caught by")
    executor: Executor
    with ProcessPoolExecutor(jobs) as executor, console.status("hunting"):
        futures = [executor.submit(hunt, mutant, ATTEMPTS) for mutant in chosen]
        catches: list[Catch] = [future.result() for future in futures]
    for catch in catches:
        caught_by = catch.invariant or "[red]survived[/red]"
        table.add_row(catch.mutant, str(catch.attempts), str(catch.seed or ""), caught_by)
    console.print(table)
    return all(catch.seed for catch in catches)
