"""`raftwerk sim`: simulations of the production code, from seeds: a swarm, one seed, a scenario, or the mutants."""

import itertools
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from raftwerk.cli.completion import one_of
from raftwerk.cli.given import options_given
from raftwerk.cli.output_file import check_writable
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.sim.campaign import Catch, Summary, campaign, hunt
from raftwerk.sim.coverage import never_visited
from raftwerk.sim.mutants.catalogue import BY_NAME, MUTANTS
from raftwerk.sim.mutants.mutant import Mutant, applied
from raftwerk.sim.names import chosen
from raftwerk.sim.run import Failure, Report, plan, run
from raftwerk.sim.scenarios.catalogue import SCENARIOS, find
from raftwerk.sim.scenarios.scenario import perform
from raftwerk.sim.shrink import ATTEMPTS_MAX, Smaller, shrink

RUNS = 100
MARKS_AFTER_RUNS = 1_000
"""So many runs should visit everything."""
ATTEMPTS = 200
JOBS_MAX = 256
INTERRUPTED = 130

MODES = {
    "--mutants": ("--jobs",),
    "--scenario": ("--seed", "--trace", "--mutant"),
    "--seed": ("--trace", "--mutant", "--plan"),
    "--mutant": ("--jobs",),
    "": ("--runs", "--minutes", "--first", "--jobs"),
}
"""What can be done, by the option that asks for it ("": many seeds), and which options say more about it."""

console = Console(highlight=False)


def sim(
    context: typer.Context,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Run this one seed; if it fails, tell its story.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help=f"How many seeds; else {RUNS}.")] = None,
    minutes: Annotated[float | None, typer.Option(help="As many seeds as fit in.")] = None,
    first: Annotated[
        int | None, typer.Option(min=0, help="The first seed of many; else 1.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=0, max=JOBS_MAX, help="Processes; 0 or none: one for each core."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Play this scenario, with --seed or seed 1; 'all', or 'list'.",
            autocompletion=one_of(["all", "list", *SCENARIOS]),
        ),
    ] = None,
    mutant: Annotated[
        str | None,
        typer.Option(
            help="Put this defect into the code, and look who notices, or what --seed or --scenario says; or 'list'.",
            autocompletion=one_of(["list", *BY_NAME]),
        ),
    ] = None,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="The same for all defects, one at a time.")
    ] = False,
    trace: Annotated[
        Path | None, typer.Option(help="Write the trace of one seed or scenario here.")
    ] = None,
    show_plan: Annotated[
        bool, typer.Option("--plan", help="Print all that the seed has drawn, too.")
    ] = False,
) -> None:
    """Run the production code in virtual time, on a faulty network and faulty disks, from a seed.

    Without options: the seeds 1 to 100. --runs, --minutes, --first and --jobs are of many seeds (--jobs of mutants too).
    Exit code 0: every property held, every mutant was caught; 1: not so; 2: wrong usage; 130: interrupted.
    """
    try:
        _check(options_given(context), scenario, mutant)
        if minutes is not None and not minutes > 0:
            raise UsageError(f"--minutes {minutes}: must be more than 0")
        check_writable("--trace", trace)
        jobs = jobs or os.cpu_count() or 1
        if scenario is not None:
            with _defect(mutant):
                is_well = _scenarios(scenario, 1 if seed is None else seed, trace, mutant or "")
        elif seed is not None:
            with _defect(mutant):
                is_well = _one(seed, trace, mutant or "", show_plan=show_plan)
        elif mutants or mutant is not None:
            is_well = _mutants(mutant, jobs)
        else:
            is_well = _swarm(1 if first is None else first, runs, minutes, jobs)
    except (RaftwerkError, OSError) as error:
        print(f"raftwerk sim: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if is_well else 1)


def _check(given: Collection[str], scenario: str | None, mutant: str | None) -> None:
    """Raises UsageError for an option that says nothing about what is to be done."""
    for option, name in (("--scenario", scenario), ("--mutant", mutant)):
        if name == "list" and len(given) > 1:
            raise UsageError(f"{option} list only prints what there is: nothing else goes with it")
    mode = next(mode for mode in MODES if mode in given or not mode)
    for option in given:
        if option != mode and option not in MODES[mode]:
            which = mode or "a run of many seeds"
            takes = " and ".join(MODES[mode])
            raise UsageError(f"{option} does not go with {which}, which takes {takes}")
    if "--trace" in given and scenario == "all":
        raise UsageError("--trace is of one run: name one scenario")


def _defect(mutant: str | None) -> AbstractContextManager[None]:
    if mutant is None:
        return nullcontext()
    console.print(f"with --mutant {mutant}:", highlight=False)
    return applied(chosen("mutant", mutant, BY_NAME))


def _file(trace: Path | None) -> "nullcontext[TextIO | None] | TextIO":
    return nullcontext(None) if trace is None else trace.open("w")


def _one(seed: int, trace: Path | None, mutant: str, *, show_plan: bool) -> bool:
    """The last lines say how it ended, whatever was printed before."""
    options, faults = plan(seed)
    if show_plan:
        console.print(options)
        for fault in faults:
            console.print(f"  {fault.at_ms:6} ms  {fault.kind}")
    kinds = Counter(fault.kind for fault in faults)
    told = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common()) or "none"
    console.print(f"{len(options.membership.nodes)} nodes; faults: {told}", soft_wrap=True)
    with _file(trace) as file:
        report = run(seed, file=file)
    console.print(
        f"seed {seed}: {report.events} events, {report.simulated_ms / 1000:.1f} s of virtual time, "
        f"{report.operations} operations, trace {report.hash}",
        soft_wrap=True,
    )
    if report.failure is None:
        console.print("[green]Every property held.[/green]")
        return True
    failure = replace(report.failure, mutant=mutant)
    _tell_failure(failure)
    try:
        make_smaller(seed)
    finally:
        console.print(f"\n[red]A property broke:[/red] {escape(failure.what)}", soft_wrap=True)
        console.print(failure.again, markup=False, soft_wrap=True)
    return False


def _tell_failure(failure: Failure) -> None:
    console.print(str(failure), markup=False, soft_wrap=True)  # its last line is to be copied


def make_smaller(seed: int, search: Callable[..., Smaller | None] = shrink) -> None:
    """Tell what is enough to break it. Ctrl-C ends the search (see sim.shrink.shrink) with what is found so far."""
    smallest: Smaller | None = None
    console.print(
        f"\nmaking the failure smaller, with {ATTEMPTS_MAX} runs at most (Ctrl-C: the smallest so far):"
    )
    try:
        with console.status("the first run") as status:

            def on_attempt(smaller: Smaller) -> None:
                nonlocal smallest
                smallest = smaller
                status.update(f"run {smaller.attempts}: {len(smaller.faults)} faults are left")

            smallest = search(seed, on_attempt=on_attempt)
    except KeyboardInterrupt as interrupt:
        _tell_smaller(smallest)
        raise typer.Exit(INTERRUPTED) from interrupt
    _tell_smaller(smallest)


def _tell_smaller(smallest: Smaller | None) -> None:
    if smallest is not None:
        console.print(f"after {smallest.attempts} attempts, this is enough to break it:")
        console.print(smallest.options)
        for fault in smallest.faults:
            console.print(f"  {fault}", markup=False)


def _seeds(first: int, runs: int | None) -> Iterator[int]:
    return iter(range(first, first + runs)) if runs is not None else itertools.count(first)


@contextmanager
def _workers(jobs: int) -> Iterator[Executor]:
    """Processes that leave Ctrl-C to this one, and end at once when it is told, or when nobody reads any more."""
    with ProcessPoolExecutor(
        jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    ) as executor:
        try:
            yield executor
        except (KeyboardInterrupt, SystemExit):
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _swarm(first: int, runs: int | None, minutes: float | None, jobs: int) -> bool:
    if runs is None and minutes is None:
        runs = RUNS
    seconds_max = float("inf") if minutes is None else 60 * minutes
    text = TextColumn("{task.description}")
    so_far = Summary()
    bar = Progress(SpinnerColumn(), text, BarColumn(), TimeElapsedColumn(), console=console)
    try:
        with bar as progress:
            total = runs if runs is not None else seconds_max
            task = progress.add_task("seeds", total=total)

            def on_report(report: Report, summary: Summary) -> None:
                nonlocal so_far
                so_far = summary
                done = summary.runs if runs is not None else summary.seconds
                words = f"{summary.runs} runs, {summary.simulated_ms / 1000:.0f} s simulated"
                progress.update(task, completed=done, description=words)
                if report.failure is not None:
                    console.print(f"[red]seed {report.seed}: {report.failure.invariant}[/red]")

            with _workers(jobs) as executor:
                seeds = _seeds(first, runs)
                so_far = campaign(
                    executor, jobs, seeds, seconds_max=seconds_max, on_report=on_report
                )
    except KeyboardInterrupt as interrupt:
        console.print("[yellow]Interrupted.[/yellow] What was done until then:")
        tell(so_far)
        raise typer.Exit(INTERRUPTED) from interrupt
    return tell(so_far)


def tell(summary: Summary) -> bool:
    """What a campaign was. Returns whether it is one without a fault."""
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
    must_visit = summary.runs >= MARKS_AFTER_RUNS
    if missing and must_visit:
        console.print(f"[yellow]never visited:[/yellow] {', '.join(missing)}")
    elif missing:
        console.print(f"Marks that these few runs did not meet: {', '.join(missing)}")
    for failure in summary.failures:
        _tell_failure(failure)
    if summary.failures:
        console.print(f"[red]A property broke in {len(summary.failures)} runs.[/red]")
    elif missing and must_visit:
        console.print(
            f"[red]Failed:[/red] every property held, but {len(missing)} marks were never visited, "
            f"and {MARKS_AFTER_RUNS} runs should visit all: what they name was not tested."
        )
    else:
        console.print("[green]Every property held in every run.[/green]")
    return not summary.failures and not (must_visit and missing)


def _scenarios(name: str, seed: int, trace: Path | None, mutant: str) -> bool:
    if name == "list":
        for scenario in SCENARIOS.values():
            console.print(f"[bold]{scenario.name}[/bold]  {escape(scenario.text)}", soft_wrap=True)
        return True
    chosen = list(SCENARIOS.values()) if name == "all" else [find(name)]
    failures: list[Failure] = []
    for scenario in chosen:
        with _file(trace) as file:
            failure = perform(scenario, seed, file)
        word = "[green]ok[/green]" if failure is None else "[red]broken[/red]"
        console.print(f"{word}  {scenario.name}")
        if failure is not None:
            failures.append(replace(failure, mutant=mutant))
    for failure in failures:
        _tell_failure(failure)
    return not failures


def _mutants(name: str | None, jobs: int) -> bool:
    if name != "list":
        return _hunt(list(MUTANTS) if name is None else [chosen("mutant", name, BY_NAME)], jobs)
    for mutant in MUTANTS:
        by = mutant.scenario or f"seed {mutant.seed}"
        console.print(
            f"[bold]{mutant.name}[/bold]  in {mutant.where}, caught by {by}", soft_wrap=True
        )
    return True


def _hunt(mutants: list[Mutant], jobs: int) -> bool:
    """Each mutant lives in the process of its worker alone, and goes when it is done."""
    done: list[Future[Catch]] = []
    try:
        with _workers(jobs) as executor, console.status("hunting") as status:
            futures = [executor.submit(hunt, mutant, ATTEMPTS) for mutant in mutants]
            for future in as_completed(futures):
                done.append(future)
                status.update(f"hunting: {len(done)} of {len(futures)} done")
    except KeyboardInterrupt as interrupt:
        console.print(f"[yellow]Interrupted[/yellow] after {len(done)} of {len(mutants)} mutants.")
        _tell_catches([future.result() for future in done])
        raise typer.Exit(INTERRUPTED) from interrupt
    return _tell_catches([future.result() for future in futures])


def _tell_catches(catches: list[Catch]) -> bool:
    """Returns whether all were caught."""
    table = Table("mutant", "runs", "seed", "caught by")
    for catch in catches:
        caught_by = escape(catch.invariant) or "[red]survived[/red]"
        seed = str(catch.seed) if catch.invariant else ""
        table.add_row(catch.mutant, str(catch.attempts), seed, caught_by)
    console.print(table)
    return all(catch.invariant for catch in catches)
