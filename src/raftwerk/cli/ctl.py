"""Commands for people: put, get, del, status. Their exit codes are those of ctl_shell."""

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Final

import typer
from rich.filesize import decimal

from raftwerk.api import kv_pb2, rpc_pb2
from raftwerk.cli.ctl_answers import read
from raftwerk.cli.ctl_shell import (
    INT64_MAX,
    AsJson,
    End,
    FromKey,
    Prefix,
    PrevKv,
    Shell,
    as_dict,
    check_running,
    connected,
    end_with,
    is_refused,
    key_range,
    lease_id,
    print_dict,
    print_json,
    print_table,
    standard_input,
    text_of,
)
from raftwerk.cli.runner import run_loop
from raftwerk.client import CallError, Client
from raftwerk.client.admin import CLUSTER
from raftwerk.client.endpoints import parse_endpoints

STATUS_S: Final = 3.0
NOT_STARTED: Final = "it has not told where clients find it: not started yet"


class Order(Enum):
    ASCEND = "ascend"
    DESCEND = "descend"


class SortBy(Enum):
    KEY = "key"
    VERSION = "version"
    CREATE = "create"
    MOD = "modify"
    VALUE = "value"


@connected
def put(
    shell: Shell,
    key: str,
    value: Annotated[
        str | None, typer.Argument(help="The value; - reads it from standard input.")
    ] = None,
    lease: Annotated[str, typer.Option(help="The lease that the key lives with, in hex.")] = "0",
    prev_kv: PrevKv = False,
    ignore_value: Annotated[
        bool,
        typer.Option(
            "--ignore-value", help="Keep the value that the key has; its lease goes all the same."
        ),
    ] = False,
    ignore_lease: Annotated[
        bool, typer.Option("--ignore-lease", help="Keep the lease that the key has.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Set a key. Exit code 2: it was not set; 3: nobody knows."""
    lease_number = lease_id(lease)
    if ignore_value is (value is not None):
        missing = "the value is missing: put KEY VALUE, or put KEY - to read it from standard input"
        raise typer.BadParameter("no VALUE with --ignore-value" if ignore_value else missing)
    data = standard_input() if value == "-" else os.fsencode(value or "")

    async def action(client: Client) -> int:
        response = await client.put(
            os.fsencode(key),
            data,
            lease=lease_number,
            prev_kv=prev_kv,
            ignore_value=ignore_value,
            ignore_lease=ignore_lease,
        )
        if as_json:
            print_json(response)
            return 0
        print(f"OK, revision {response.header.revision}")
        if response.HasField("prev_kv"):
            _print_kvs([response.prev_kv])
        return 0

    shell.run(action)


@connected
def get(
    shell: Shell,
    key: str,
    end: End = None,
    prefix: Prefix = False,
    from_key: FromKey = False,
    limit: Annotated[
        int, typer.Option(min=0, max=INT64_MAX, help="At most so many keys; 0: all.")
    ] = 0,
    rev: Annotated[
        int, typer.Option(min=0, max=INT64_MAX, help="At this revision; 0: the newest.")
    ] = 0,
    order: Annotated[Order | None, typer.Option(case_sensitive=False)] = None,
    sort_by: Annotated[SortBy, typer.Option(case_sensitive=False)] = SortBy.KEY,
    keys_only: Annotated[bool, typer.Option("--keys-only", help="No values.")] = False,
    print_value_only: Annotated[
        bool,
        typer.Option("--print-value-only", help="No keys, of a range either; each byte as it is."),
    ] = False,
    count_only: Annotated[bool, typer.Option("--count-only", help="Only how many.")] = False,
    serializable: Annotated[
        bool,
        typer.Option("--serializable", help="From this member's state, without asking the others."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a key's value, or keys and values of a range. Exit code 1 if there is none, 2 if nobody answers."""
    start, range_end = key_range(key, end, prefix=prefix, from_key=from_key)
    if keys_only + print_value_only + count_only > 1:
        raise typer.BadParameter(
            "--keys-only, --print-value-only and --count-only exclude each other"
        )
    if print_value_only and as_json:
        raise typer.BadParameter("--print-value-only is not for --json")
    request = rpc_pb2.RangeRequest(
        key=start,
        range_end=range_end,
        limit=limit,
        revision=rev,
        sort_order=rpc_pb2.RangeRequest.SortOrder.Value(order.name if order else "NONE"),
        sort_target=rpc_pb2.RangeRequest.SortTarget.Value(sort_by.name),
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
        elif print_value_only:
            sys.stdout.buffer.writelines(kv.value + b"\n" for kv in response.kvs)
        else:
            _print_kvs(response.kvs, keys=keys_only or bool(range_end), values=not keys_only)
        return 0 if response.count else 1

    shell.run(action)


@connected
def delete(
    shell: Shell,
    key: str,
    end: End = None,
    prefix: Prefix = False,
    from_key: FromKey = False,
    prev_kv: PrevKv = False,
    as_json: AsJson = False,
) -> None:
    """Remove a key, or all keys of a range. Exit code 2: nothing was removed; 3: nobody knows."""
    start, range_end = key_range(key, end, prefix=prefix, from_key=from_key)

    async def action(client: Client) -> int:
        response = await client.delete(start, range_end, prev_kv=prev_kv)
        if as_json:
            print_json(response)
            return 0
        print(f"{response.deleted} deleted, revision {response.header.revision}")
        _print_kvs(response.prev_kvs)
        return 0

    shell.run(action)


def _print_kvs(kvs: Iterable[kv_pb2.KeyValue], *, keys: bool = True, values: bool = True) -> None:
    for kv in kvs:
        if keys:
            print(text_of(kv.key))
        if values:
            print(text_of(kv.value))


@connected
def status(
    shell: Shell,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Ask the endpoints who the members are, and then every member."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """How each endpoint is. Exit code 1 if one does not answer."""

    def run() -> int:
        parse_endpoints(shell.addresses)
        found = _places_of_members(shell) if cluster else [(each, each) for each in shell.addresses]
        clients = {
            name: shell.connect([endpoint], STATUS_S) for name, endpoint in found if endpoint
        }
        heard = run_loop(_ask_all(clients))
        answers = [(name, heard.get(name, NOT_STARTED)) for name, _ in found]
        if as_json:
            for endpoint, answer in answers:
                told = {"error": answer} if isinstance(answer, str) else as_dict(answer)
                print_dict({"endpoint": endpoint, **told})
        else:
            columns = ("endpoint", "member", "version", "role", "term", "index", "applied", "store")
            rows = [_status_row(endpoint, answer) for endpoint, answer in answers]
            print_table((*columns, "problem"), rows)
        return int(any(isinstance(answer, str) for _, answer in answers))

    end_with(run)


def _places_of_members(shell: Shell) -> list[tuple[str, str]]:
    """(name, client URL) of each, twice the URL as a rule; URL "" of one that has told none.

    As the member that answers knows them, which need not know a leader.
    """
    ask = read(CLUSTER + "MemberList", rpc_pb2.MemberListRequest(), rpc_pb2.MemberListResponse)

    async def asked(client: Client) -> rpc_pb2.MemberListResponse:
        async with client:
            return await ask(client)

    run_loop(check_running(shell.addresses))
    answer = run_loop(asked(shell.connect(timeout_s=STATUS_S)))
    return [
        (url or f"{one.name or 'member'} {one.ID:x}", url)
        for one in answer.members
        for url in one.clientURLs or [""]
    ]


async def _ask_all(clients: Mapping[str, Client]) -> dict[str, rpc_pb2.StatusResponse | str]:
    """Of each the answer, or why there is none."""

    answers = await asyncio.gather(*(_ask(*each) for each in clients.items()))
    return dict(zip(clients, answers, strict=True))


async def _ask(endpoint: str, client: Client) -> rpc_pb2.StatusResponse | str:
    """A refused connection is an answer: the client would try again until its time is over."""

    async def call() -> rpc_pb2.StatusResponse | str:
        try:
            async with client:
                return await client.status()
        except CallError as error:
            return str(error)

    calling = asyncio.create_task(call())
    if not await is_refused(endpoint):
        return await calling
    calling.cancel()
    await asyncio.wait([calling])
    return f"{endpoint} cannot be reached: nothing listens there"


def _status_row(
    endpoint: str, answer: rpc_pb2.StatusResponse | str
) -> tuple[str | tuple[str, str], ...]:
    if isinstance(answer, str):
        return (endpoint, *[""] * 7, (answer, "red"))
    is_leader = answer.leader == answer.header.member_id
    problems = [] if answer.leader or answer.errors else ["no leader"]
    return (
        endpoint,
        f"{answer.header.member_id:x}",
        answer.version,
        "learner" if answer.isLearner else "leader" if is_leader else "follower",
        str(answer.raftTerm),
        str(answer.raftIndex),
        str(answer.raftAppliedIndex),
        decimal(answer.dbSize),
        ", ".join([*answer.errors, *problems]),
    )
