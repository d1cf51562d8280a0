"""Commands for people: put, get, del, status. Their exit codes are those of ctl_shell."""

import asyncio
import json
import os
import sys
from typing import Annotated

import typer
from rich.markup import escape

from raftwerk.api import rpc_pb2
from raftwerk.cli.ctl_shell import (
    DEFAULT,
    INT64_MAX,
    AsJson,
    Endpoints,
    as_dict,
    connect,
    lease_id,
    print_json,
    print_table,
    run,
    split,
    table,
    text_of,
)
from raftwerk.client import Client
from raftwerk.client.ranges import prefix_end
from raftwerk.errors import RaftwerkError


def put(
    key: str,
    value: Annotated[str, typer.Argument(help="The value; - reads it from standard input.")],
    lease: Annotated[str, typer.Option(help="The lease that the key lives with, in hex.")] = "0",
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Set a key. Exit code 2: it was not set; 3: nobody knows."""
    data = sys.stdin.buffer.read() if value == "-" else os.fsencode(value)

    async def action(client: Client) -> int:
        response = await client.put(os.fsencode(key), data, lease=lease_id(lease))
        if as_json:
            print_json(response)
        else:
            print(f"OK, revision {response.header.revision}")
        return 0

    run(endpoints, action)


def get(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    limit: Annotated[int, typer.Option(max=INT64_MAX, help="At most so many keys; 0: all.")] = 0,
    rev: Annotated[
        int, typer.Option(min=0, max=INT64_MAX, help="At this revision; 0: the newest.")
    ] = 0,
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
        range_end=prefix_end(start) if prefix else b"",
        limit=limit,
        revision=rev,
        keys_only=keys_only,
        count_only=count_only,
        serializable=serializable,
    )

    async def action(client: Client) -> int:
        response = await client.range(request)
        if as_json:
            print_json(response)
        elif count_only:
            print(response.count)
        else:
            for kv in response.kvs:
                if keys_only or prefix:
                    print(text_of(kv.key))
                if not keys_only:
                    print(text_of(kv.value))
        return 0 if response.count else 1

    run(endpoints, action)


def delete(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove a key, or all keys with a prefix. Exit code 2: nothing was removed; 3: nobody knows."""
    start = os.fsencode(key)

    async def action(client: Client) -> int:
        response = await client.delete(start or b"\0", prefix_end(start) if prefix else b"")
        if as_json:
            print_json(response)
        else:
            print(f"{response.deleted} deleted, revision {response.header.revision}")
        return 0

    run(endpoints, action)


def status(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """How each endpoint is. Exit code 1 if one does not answer."""

    async def ask(endpoint: str) -> tuple[str, rpc_pb2.StatusResponse | RaftwerkError]:
        try:
            async with connect([endpoint], timeout_s=3) as client:
                return endpoint, await client.status()
        except RaftwerkError as error:
            return endpoint, error

    async def ask_all() -> list[tuple[str, rpc_pb2.StatusResponse | RaftwerkError]]:
        return await asyncio.gather(*(ask(endpoint) for endpoint in split(endpoints)))

    answers = asyncio.run(ask_all())
    if as_json:
        for endpoint, answer in answers:
            body = {"error": str(answer)} if isinstance(answer, RaftwerkError) else as_dict(answer)
            print(json.dumps({"endpoint": endpoint, **body}))
    else:
        rows = table("endpoint", "member", "role", "term", "index", "applied", "store", "problem")
        for endpoint, answer in answers:
            if isinstance(answer, RaftwerkError):
                rows.add_row(endpoint, "", "", "", "", "", "", f"[red]{escape(str(answer))}[/red]")
                continue
            role = "leader" if answer.leader == answer.header.member_id else "follower"
            rows.add_row(
                endpoint,
                f"{answer.header.member_id:x}",
                role,
                str(answer.raftTerm),
                str(answer.raftIndex),
                str(answer.raftAppliedIndex),
                f"{answer.dbSize / 1e6:.1f} MB",
                ", ".join(answer.errors),
            )
        print_table(rows)
    raise typer.Exit(int(any(isinstance(answer, RaftwerkError) for _, answer in answers)))
