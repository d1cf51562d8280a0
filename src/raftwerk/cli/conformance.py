"""`raftwerk conformance`: are the answers of a server those of etcd?"""

import json
import sys
from fnmatch import fnmatch
from typing import Annotated

import typer

from raftwerk.cli.completion import one_of
from raftwerk.cli.ctl_shell import (
    AsJson,
    Shell,
    connected,
    print_table,
)
from raftwerk.cli.runner import run_loop
from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.steps import Case, Needs
from raftwerk.conformance.suite import Result, run
from raftwerk.errors import RaftwerkError, UsageError


@connected
def conformance(
    shell: Shell,
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="Only cases with such a name: keys/*, */put*. May be given again.",
            autocompletion=one_of([case.name for area in AREAS.values() for case in area]),
        ),
    ] = None,
    disturb: Annotated[
        bool,
        typer.Option(
            "--disturb",
            help="Also cases that others on the cluster notice: compaction, alarms; reads of all keys, if there are none.",
        ),
    ] = False,
    auth: Annotated[
        bool,
        typer.Option("--auth", help="Also those that add users and enable auth for a while."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put requests to a cluster, and compare its answers with those of etcd 3.5. Exit code 1 if any differs.

    All keys and leases are the run's own, and are gone after it.
    """
    allowed = {Needs.NOTHING}
    if disturb:
        allowed |= {Needs.DISTURBING, Needs.ALONE}
    if auth:
        allowed |= {Needs.AUTH}
    try:
        if shell.user:
            raise UsageError("the cases ask as nobody, of a cluster without auth: leave --user out")
        results = run_loop(_run(shell, chosen(case or ["*"]), frozenset(allowed)))
    except (RaftwerkError, OSError) as error:
        print(f"raftwerk: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    _print(results, as_json=as_json)
    raise typer.Exit(int(any(result.difference for result in results)))


def chosen(patterns: list[str]) -> list[Case]:
    """Raises UsageError when there is no such case."""
    cases = [
        case
        for area in AREAS.values()
        for case in area
        if any(fnmatch(case.name, pattern) for pattern in patterns)
    ]
    if not cases:
        raise UsageError(f"no case is called {' or '.join(patterns)}; areas: {', '.join(AREAS)}")
    return cases


async def _run(shell: Shell, cases: list[Case], allowed: frozenset[Needs]) -> list[Result]:
    endpoints = [ClientEndpoint(address, shell.tls_context) for address in shell.addresses]
    try:
        return [result async for result in run(endpoints, cases, allowed)]
    finally:
        for endpoint in endpoints:
            await endpoint.close()


def _print(results: list[Result], *, as_json: bool) -> None:
    if as_json:
        for result in results:
            print(json.dumps({"case": result.case.name, **_outcome(result)}))
        return
    print_table(("case", "answers", "first difference"), map(_row, results))
    count = dict.fromkeys(("passed", "failed", "left out"), 0)
    for result in results:
        count[_outcome(result)["outcome"]] += 1
    print(", ".join(f"{number} {kind}" for kind, number in count.items() if number))


def _row(result: Result) -> tuple[str, tuple[str, str], str]:
    told = _outcome(result)
    colour = {"passed": "green", "failed": "red"}.get(told["outcome"], "dim")
    why = told.get("difference") or told.get("reason") or ""
    return result.case.name, (told["outcome"], colour), why


def _outcome(result: Result) -> dict[str, str]:
    if result.reason:
        return {"outcome": "left out", "reason": result.reason}
    if result.difference is None:
        return {"outcome": "passed"}
    return {"outcome": "failed", "difference": result.difference}
