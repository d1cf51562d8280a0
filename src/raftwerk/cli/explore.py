"""`raftwerk explore`: every behaviour of the core within bounds; a counter-example, told and replayed."""

import sys
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from raftwerk.cli.completion import one_of
from raftwerk.cli.given import options_given
from raftwerk.cli.output_file import check_writable
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.replay import Kept, keep, read, tell, write
from raftwerk.sim.explore.report import Report
from raftwerk.sim.explore.search import Search
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied
from raftwerk.sim.names import chosen

console = Console(highlight=False)

INTERRUPTED = 130


Defect = Annotated[
    str, typer.Option(help="Put this defect into the code first.", autocompletion=one_of(BY_NAME))
]


def explore(
    context: typer.Context,
    nodes: Annotated[int, typer.Option(help="How many nodes.")] = 3,
    terms: Annotated[int, typer.Option(help="No election beyond this term.")] = 1,
    proposals: Annotated[int, typer.Option(help="Commands of clients.")] = 0,
    reads: Annotated[int, typer.Option(help="Linearizable reads of clients.")] = 0,
    crashes: Annotated[int, typer.Option(help="Crashes, each with a restart.")] = 0,
    entries: Annotated[int, typer.Option(help="Entries in one AppendEntries.")] = 4,
    start: Annotated[
        str, typer.Option(help="Logs at the beginning, as terms: '1 2 / 1 / 1 3' (Figure 8).")
    ] = "",
    committed: Annotated[int, typer.Option(help="So many entries of the start are committed.")] = 0,
    instant_disk: Annotated[
        bool, typer.Option(help="A step and its persist are one action: fewer states.")
    ] = False,
    pre_vote: Annotated[
        bool, typer.Option(help="Elections with pre-vote and stickiness; else at any time.")
    ] = False,
    check_quorum: Annotated[
        bool, typer.Option(help="Leaders may step down for want of a majority.")
    ] = True,
    followers: Annotated[bool, typer.Option(help="Clients ask followers too.")] = False,
    symmetry: Annotated[bool, typer.Option(help="States alike but for names are one.")] = True,
    states: Annotated[int | None, typer.Option(min=1, help="Stop after about so many.")] = None,
    mutant: Defect = "",
    write_to: Annotated[
        Path | None, typer.Option("--write", help="Keep the counter-example here.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Carry out a counter-example that was kept; nothing else.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write the trace of the counter-example here.")
    ] = None,
) -> None:
    """Visit every state that the real core can reach within bounds, and check every property of Raft in each.

    Messages may be lost, repeated, delayed and reordered without any bound; persists complete at any later time; crashed nodes
    start again from what was durable. Terms, clients and crashes are bounded. The way to what is broken, if anything is, is
    a shortest one. Exit code 0: all covered, nothing broken; 1: a counter-example, or not all was covered.
    """
    try:
        _check(options_given(context), trace, write_to)
        if replay is not None:
            is_well = _replay(replay, trace)
        else:
            bounds = Bounds(
                nodes=nodes,
                terms=terms,
                proposals=proposals,
                reads=reads,
                crashes=crashes,
                message_entries=entries,
                is_disk_instant=instant_disk,
                has_pre_vote=pre_vote,
                has_check_quorum=check_quorum,
                are_followers_asked=followers,
                start=start,
                committed=committed,
            )
            with _defect(mutant):
                is_well = _search(bounds, symmetry, states, mutant, write_to, trace)
    except (RaftwerkError, OSError) as error:
        print(f"raftwerk explore: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if is_well else 1)


def _check(given: Collection[str], trace: Path | None, write_to: Path | None) -> None:
    """Raises UsageError for what would come to nothing. A counter-example that was kept says all: bounds and defect."""
    for option in given:
        if "--replay" in given and option not in ("--replay", "--trace"):
            raise UsageError(f"{option} does not go with --replay, which takes --trace")
    check_writable("--trace", trace)
    check_writable("--write", write_to)


def _search(
    bounds: Bounds,
    has_symmetry: bool,
    states_max: int | None,
    mutant: str,
    write_to: Path | None,
    trace: Path | None,
) -> bool:
    search = Search(bounds, has_symmetry=has_symmetry)
    text = TextColumn("{task.description}")
    try:
        with Progress(
            SpinnerColumn(), text, TimeElapsedColumn(), console=console, transient=True
        ) as progress:
            task = progress.add_task("level 0", total=None)
            search.run(
                states_max=states_max,
                on_progress=lambda report: progress.update(task, description=_line(report)),
            )
    except KeyboardInterrupt as interrupt:
        console.print(_line(search.report))
        console.print(f"[yellow]Interrupted.[/yellow] {_covered(search.report)}")
        raise typer.Exit(INTERRUPTED) from interrupt
    report = search.report
    console.print(_line(report))
    example = report.counter_example
    if example is not None:
        kept = keep(example, mutant)
        console.print(f"[red]{kept.invariant}[/red] is broken after {len(kept.steps)} steps:")
        _show(kept, trace)
        if write_to is not None:
            with write_to.open("w") as file:
                write(kept, file)
            console.print(f"kept: raftwerk explore --replay {write_to}", markup=False)
        return False
    if report.is_complete:
        console.print("[green]Complete: every property holds in every state.[/green]")
        return True
    console.print(f"[yellow]Not complete.[/yellow] {_covered(report)}")
    return False


def _line(report: Report) -> str:
    per_second = report.states / max(report.seconds, 0.001)
    return (
        f"level {report.depth}: {report.states} states ({per_second:.0f} a second), {report.transitions} transitions, "
        f"{report.local_states} states of one node, {report.messages} messages"
    )


def _covered(report: Report) -> str:
    return f"Everything that {report.depth} actions can do was covered; nothing is broken there."


def _show(kept: Kept, trace: Path | None) -> str:
    """Tell the story. Returns its last line."""
    line = ""
    with nullcontext(None) if trace is None else trace.open("w") as file:
        for line in tell(kept, file):
            console.print(line, markup=False, soft_wrap=True)
    return line


def _replay(path: Path, trace: Path | None) -> bool:
    with path.open() as file:
        kept = read(file)
    with _defect(kept.mutant):
        return _show(kept, trace).strip() == "Every property holds."


def _defect(name: str) -> AbstractContextManager[None]:
    if not name:
        return nullcontext()
    return applied(chosen("mutant", name, BY_NAME))
