"""`raftwerk bench`: how fast a cluster is, of raftwerk or of etcd. The load generator is client/load.py."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Final

import typer

from raftwerk.cli.ctl_shell import (
    AsJson,
    Shell,
    connected,
    print_table,
)
from raftwerk.cli.runner import run_loop
from raftwerk.client import Client, load, load_watch
from raftwerk.client.load_requests import KEYS_MAX, Operation
from raftwerk.client.load_types import ANSWER_TIMEOUT_S, Load, Result
from raftwerk.errors import RaftwerkError

SECONDS: Final = 10.0
CONNECTIONS: Final = 100


@connected
def bench(
    shell: Shell,
    operation: Annotated[
        Operation,
        typer.Argument(
            help="put; fill: put each key once, in order; range: get one key, linearizable; serializable: get it from the "
            "member's own state; txn: 4 puts; mixed: 9 ranges to a put; watch: put while others watch the keys."
        ),
    ],
    connections: Annotated[
        int | None,
        typer.Option(min=1, help=f"Over the endpoints; {CONNECTIONS}, or as few as --clients."),
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="Each has one request under way.")] = 1000,
    seconds: Annotated[
        float, typer.Option(min=0, help=f"How long; {SECONDS:.0f} unless --requests is given.")
    ] = 0,
    requests: Annotated[int, typer.Option(min=0, help="How many; 0: what time allows.")] = 0,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second, at even times; 0: all that it takes.")
    ] = 0,
    keys: Annotated[int, typer.Option(min=1, max=KEYS_MAX, help="How many there are.")] = 100_000,
    value_bytes: Annotated[int, typer.Option(min=0, help="Of each put.")] = 256,
    watchers: Annotated[
        int, typer.Option(min=1, help="Of each key, for watch; --connections are theirs then.")
    ] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Of the load generator.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Put a load on a cluster, and measure. It writes keys of 8 digits. Exit code 1 if requests failed.

    --command-timeout: how long none of the answers, or of the events of a watch, may come (60 s).
    """
    try:
        wanted = Load(
            operation,
            connections=min(CONNECTIONS, clients) if connections is None else connections,
            clients=clients,
            requests=requests,
            seconds=seconds or (0.0 if requests else SECONDS),
            value_bytes=value_bytes,
            keys=keys,
            rate=rate,
            answer_timeout_s=shell.timeout_s(ANSWER_TIMEOUT_S),
            metadata=_metadata(shell),
        )
        if operation == Operation.WATCH:
            watched = load_watch.run(wanted, watchers, shell.addresses, tls=shell.tls_context)
            result = watched.put
        else:
            watched = None
            result = load.run(wanted, shell.addresses, processes=processes, tls=shell.tls_context)
    except (RaftwerkError, OSError) as error:  # TimeoutError is an OSError
        print(f"raftwerk: {str(error) or 'no answer'}", file=sys.stderr)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(asdict(watched or result)))
    else:
        _print(operation, result)
        if watched is not None:
            _print_watch(watched)
    raise typer.Exit(int(bool(result.errors)))


def _metadata(shell: Shell) -> bytes:
    """The token, where authentication is enabled."""

    async def ask(client: Client) -> bytes:
        async with client:
            return await client.calls.token.metadata()

    return b"" if shell.credentials is None else run_loop(ask(shell.connect()))


def _print(operation: Operation, result: Result) -> None:
    latencies = {
        "mean": result.mean_ms,
        "p50": result.p50_ms,
        "p90": result.p90_ms,
        "p99": result.p99_ms,
        "p99.9": result.p999_ms,
        "max": result.max_ms,
    }
    failed = [
        f"{count:,} with status {status} ({result.error_texts.get(status) or 'no text'})"
        for status, count in result.errors.items()
    ]
    columns = ["operation", "a second", "requests", "seconds", "failed"]
    row = (
        operation.value,
        f"{result.per_second:,.0f}",
        f"{result.requests:,}",
        f"{result.seconds:.1f}",
        ", ".join(failed) or "0",
        *(f"{value:.2f}" for value in latencies.values()),
        f"{result.client_cpu_us:.1f}",
    )
    print_table([*columns, *(f"{name} ms" for name in latencies), "client CPU us"], [row])


def _print_watch(watched: load_watch.WatchResult) -> None:
    row = (
        f"{watched.events:,}",
        f"{watched.events_per_second:,.0f}",
        f"{watched.delay_p50_ms:.2f}",
        f"{watched.delay_p99_ms:.2f}",
    )
    print_table(("events", "a second", "delay p50 ms", "delay p99 ms"), [row])
