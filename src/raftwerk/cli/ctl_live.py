"""Commands for people that go on: watch, lock, elect, lease."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Final

import typer

from raftwerk.cli.ctl_shell import (
    DEFAULT,
    INT64_MAX,
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
from raftwerk.errors import UsageError

SIGNALLED: Final = 128
"""And the number of the signal: the exit code of what it has ended."""

lease = typer.Typer(help="Leases: keys that end when their owner does.", no_args_is_help=True)

Ttl = Annotated[
    int,
    typer.Option("--ttl", max=INT64_MAX, help="Seconds until others have it, if this one dies."),
]
Command = Annotated[
    list[str] | None, typer.Argument(help="Run it while held, and end with its exit code.")
]


def watch(
    key: str,
    prefix: Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")] = False,
    rev: Annotated[
        int, typer.Option(min=0, max=INT64_MAX, help="Begin with what happened at this revision.")
    ] = 0,
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
    """Returns the exit code: as for a shell, 128 and the signal's number, when one comes while others hold it."""
    holder = asyncio.current_task()
    assert holder is not None
    told = asyncio.Event()
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        if not contest.is_held:
            holder.cancel()
        elif not command or number == signal.SIGTERM:  # Ctrl-C reaches the command by the terminal
            told.set()

    with _signals(hear):
        try:
            async with contest:
                if command:
                    return await _run_held(command, told)
                print(text_of(contest.key), flush=True)
                await told.wait()
                return 0
        except asyncio.CancelledError:
            if not heard:
                raise
            holder.uncancel()
            return SIGNALLED + heard[0]


async def _run_held(command: Sequence[str], told: asyncio.Event) -> int:
    """Until it ends; told: that it should."""
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from error

    async def end_when_told() -> None:
        await told.wait()
        with suppress(ProcessLookupError):
            process.terminate()

    ending = asyncio.create_task(end_when_told())
    try:
        code = await process.wait()
        return code if code >= 0 else SIGNALLED - code
    finally:
        told.set()  # the lock may be lost: nobody may go on as if it were not
        await ending
        await process.wait()


@contextmanager
def _signals(hear: Callable[[int], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM, told as they come."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@lease.command("grant")
def lease_grant(
    ttl_s: Annotated[int, typer.Argument(max=INT64_MAX)],
    endpoints: Endpoints = DEFAULT,
    as_json: AsJson = False,
) -> None:
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
