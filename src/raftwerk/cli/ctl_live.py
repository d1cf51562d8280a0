"""Commands for people that go on: watch, lock, elect, lease."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from raftwerk.cli.ctl_shell import (
    DEFAULT,
    AsJson,
    Endpoints,
    as_dict,
    lease_id,
    print_json,
    run,
    text_of,
)
from raftwerk.client import Client, Event, EventKind
from raftwerk.client.contest import TTL_S, Contest

lease = typer.Typer(help="Leases: keys that end when their owner does.", no_args_is_help=True)

Ttl = Annotated[int, typer.Option("--ttl", help="Seconds until others have it, if this one dies.")]
Command = Annotated[
    list[str] | None, typer.Argument(help="Run it while held, and end with its exit code.")
]


def watch(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    rev: Annotated[int, typer.Option(help="Begin with what happened at this revision.")] = 0,
    prev_kv: Annotated[bool, typer.Option("--prev-kv", help="What was there before, too.")] = False,
    count: Annotated[int, typer.Option(help="End after so many events; 0: never.")] = 0,
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Print what happens to a key, or to all with a prefix, until Ctrl-C. Servers may come and go: nothing is left out."""

    async def action(client: Client) -> int:
        shown = 0
        async with client.watch(
            os.fsencode(key), prefix=prefix, start_revision=rev, prev_kv=prev_kv
        ) as events:
            async for event in events:
                _print_event(event, as_json=as_json)
                shown += 1
                if shown == count:
                    break
        return 0

    run(endpoints, action)


def _print_event(event: Event, *, as_json: bool) -> None:
    if as_json:
        body = {"type": event.kind.name, "kv": as_dict(event.kv)}
        if event.prev_kv is not None:
            body["prev_kv"] = as_dict(event.prev_kv)
        print(json.dumps(body), flush=True)
        return
    before = f" (before: {text_of(event.prev_kv.value)})" if event.prev_kv is not None else ""
    value = f" {text_of(event.value)}" if event.kind is EventKind.PUT else ""
    print(f"{event.revision} {event.kind.name} {text_of(event.key)}{value}{before}", flush=True)


def lock(
    name: str, command: Command = None, ttl: Ttl = TTL_S, endpoints: Endpoints = DEFAULT
) -> None:
    """Hold a lock: while a command runs (after --), or until Ctrl-C. Prints the key when it is held."""

    async def action(client: Client) -> int:
        return await _hold(client.lock(os.fsencode(name), ttl), command or ())

    run(endpoints, action)


def elect(
    name: str,
    value: Annotated[str, typer.Argument(help="What the others see.")] = "",
    listen: Annotated[
        bool, typer.Option("--listen", help="Only print each leader, until Ctrl-C.")
    ] = False,
    ttl: Ttl = TTL_S,
    endpoints: Endpoints = DEFAULT,
) -> None:
    """Lead until Ctrl-C, as soon as it is this one's turn; or see who leads."""

    async def action(client: Client) -> int:
        election = client.election(os.fsencode(name))
        if not listen:
            return await _hold(election.campaign(os.fsencode(value), ttl), ())
        async for leader in election.observe():
            print(f"{text_of(leader.key)} {text_of(leader.value)}", flush=True)
        return 0

    run(endpoints, action)


async def _hold(contest: Contest, command: Sequence[str]) -> int:
    async with _until_signal() as told, contest:
        if not command:
            print(text_of(contest.key), flush=True)
            await told.wait()
            return 0
        process = await asyncio.create_subprocess_exec(*command)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:  # the lock is lost: nobody may go on as if it were not
                process.terminate()
                await process.wait()


@asynccontextmanager
async def _until_signal() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@lease.command("grant")
def lease_grant(ttl_s: int, endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """A new lease of so many seconds."""

    async def action(client: Client) -> int:
        response = await client.lease_grant(ttl_s)
        if as_json:
            print_json(response)
        else:
            print(f"lease {response.ID:x} granted for {response.TTL} s")
        return 0

    run(endpoints, action)


@lease.command("revoke")
def lease_revoke(lease: str, endpoints: Endpoints = DEFAULT) -> None:
    """End a lease, and delete its keys."""

    async def action(client: Client) -> int:
        await client.lease_revoke(lease_id(lease))
        print(f"lease {lease} revoked")
        return 0

    run(endpoints, action)


@lease.command("list")
def lease_list(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """All leases."""

    async def action(client: Client) -> int:
        found = [f"{one:x}" for one in await client.lease_list()]
        print(json.dumps(found) if as_json else "\n".join(found))
        return 0

    run(endpoints, action)


@lease.command("timetolive")
def lease_time_to_live(lease: str, endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """What is left of a lease, and its keys. Exit code 1: it is no more."""

    async def action(client: Client) -> int:
        response = await client.lease_time_to_live(lease_id(lease), keys=True)
        if as_json:
            print_json(response)
        elif response.TTL < 0:
            print(f"lease {lease} is over")
        else:
            print(f"lease {lease}: {response.TTL} s of {response.grantedTTL} s left")
            for key in response.keys:
                print(text_of(key))
        return 1 if response.TTL < 0 else 0

    run(endpoints, action)
