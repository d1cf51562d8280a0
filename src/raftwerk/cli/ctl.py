"""Commands for people: put, get, del, status, members.

Exit codes: 0 done; 1 the answer is no (no such key; an endpoint that does not answer `status`); 2 an error, nothing
happened; 3 a write whose outcome is unknown.
"""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raftwerk.api import rpc_pb2
from raftwerk.client import Client, OutcomeUnknown
from raftwerk.errors import RaftwerkError

Endpoints = Annotated[
    str,
    typer.Option(
        "--endpoints",
        envvar=["RAFTWERK_ENDPOINTS", "ETCDCTL_ENDPOINTS"],
        help="Client addresses, comma-separated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DEFAULT = "127.0.0.1:2379"
PIPE_WIDTH = 10_000


def _split(endpoints: str) -> list[str]:
    return [endpoint.strip() for endpoint in endpoints.split(",") if endpoint.strip()]


def _run(endpoints: str, action: Callable[[Client], Awaitable[int]]) -> None:
    """Run with a client, and exit with what `action` returns; errors become one line and their exit code."""

    async def with_client() -> int:
        async with Client(_split(endpoints)) as client:
            return await action(client)

    try:
        raise typer.Exit(asyncio.run(with_client()))
    except OutcomeUnknown as error:
        print(
            f"raftwerk: {error}: it may have happened, or may yet happen; look before you try again",
            file=sys.stderr,
        )
        raise typer.Exit(3) from error
    except RaftwerkError as error:
        print(f"raftwerk: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def _dict(message: Message) -> dict[str, Any]:
    """As in etcd's JSON: names of the proto files, bytes in base64, large numbers as strings."""
    return MessageToDict(message, preserving_proto_field_name=True)


def _print_json(message: Message) -> None:
    print(json.dumps(_dict(message)))


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")  # never cut a value short
    return table


def _print_table(table: Table) -> None:
    """As wide as the terminal; into a pipe as wide as it takes."""
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def _prefix_end(prefix: bytes) -> bytes:
    """The range_end of all keys that begin with a prefix."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b"\0"


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def put(
    key: str,
    value: Annotated[str, typer.Argument(help="The value; - reads it from standard input.")],
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Set a key. Exit code 2: it was not set; 3: nobody knows."""
    data = sys.stdin.buffer.read() if value == "-" else os.fsencode(value)

    async def action(client: Client) -> int:
        response = await client.put(os.fsencode(key), data)
        if as_json:
            _print_json(response)
        else:
            print(f"OK, revision {response.header.revision}")
        return 0

    _run(endpoints, action)


def get(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many keys; 0: all.")] = 0,
    rev: Annotated[int, typer.Option(help="At this revision; 0: the newest.")] = 0,
    keys_only: Annotated[bool, typer.Option("--keys-only")] = False,
    count_only: Annotated[bool, typer.Option("--count-only")] = False,
    serializable: Annotated[
        bool,
        typer.Option("--serializable", help="From this member's state, without asking the others."),
    ] = False,
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print a key's value, or keys and values of a range. Exit code 1 if there is none, 2 if nobody answers."""
    start = os.fsencode(key)
    request = rpc_pb2.RangeRequest(
        key=start or b"\0",
        range_end=_prefix_end(start) if prefix else b"",
        limit=limit,
        revision=rev,
        keys_only=keys_only,
        count_only=count_only,
        serializable=serializable,
    )

    async def action(client: Client) -> int:
        response = await client.range(request)
        if as_json:
            _print_json(response)
        elif count_only:
            print(response.count)
        else:
            for kv in response.kvs:
                if keys_only or prefix:
                    print(_text(kv.key))
                if not keys_only:
                    print(_text(kv.value))
        return 0 if response.count else 1

    _run(endpoints, action)


def delete(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove a key, or all keys with a prefix. Exit code 2: nothing was removed; 3: nobody knows."""
    start = os.fsencode(key)

    async def action(client: Client) -> int:
        response = await client.delete(start or b"\0", _prefix_end(start) if prefix else b"")
        if as_json:
            _print_json(response)
        else:
            print(f"{response.deleted} deleted, revision {response.header.revision}")
        return 0

    _run(endpoints, action)


def status(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """How each endpoint is. Exit code 1 if one does not answer."""

    async def ask(endpoint: str) -> tuple[str, rpc_pb2.StatusResponse | RaftwerkError]:
        try:
            async with Client([endpoint], timeout_s=3) as client:
                return endpoint, await client.status()
        except RaftwerkError as error:
            return endpoint, error

    async def ask_all() -> list[tuple[str, rpc_pb2.StatusResponse | RaftwerkError]]:
        return await asyncio.gather(*(ask(endpoint) for endpoint in _split(endpoints)))

    answers = asyncio.run(ask_all())
    if as_json:
        for endpoint, answer in answers:
            body = {"error": str(answer)} if isinstance(answer, RaftwerkError) else _dict(answer)
            print(json.dumps({"endpoint": endpoint, **body}))
    else:
        table = _table("endpoint", "member", "role", "term", "index", "applied", "store", "problem")
        for endpoint, answer in answers:
            if isinstance(answer, RaftwerkError):
                table.add_row(endpoint, "", "", "", "", "", "", f"[red]{escape(str(answer))}[/red]")
                continue
            role = "leader" if answer.leader == answer.header.member_id else "follower"
            table.add_row(
                endpoint,
                f"{answer.header.member_id:x}",
                role,
                str(answer.raftTerm),
                str(answer.raftIndex),
                str(answer.raftAppliedIndex),
                f"{answer.dbSize / 1e6:.1f} MB",
                ", ".join(answer.errors),
            )
        _print_table(table)
    raise typer.Exit(int(any(isinstance(answer, RaftwerkError) for _, answer in answers)))


def members(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """The members of the cluster."""

    async def action(client: Client) -> int:
        found = await client.member_list()
        if as_json:
            print(json.dumps([_dict(member) for member in found]))
            return 0
        table = _table("member", "name", "peer URLs", "client URLs")
        for member in found:
            name = member.name or "(not started)"
            table.add_row(
                f"{member.ID:x}",
                escape(name),
                ", ".join(member.peerURLs),
                ", ".join(member.clientURLs),
            )
        _print_table(table)
        return 0

    _run(endpoints, action)
