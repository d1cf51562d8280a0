"""Commands for people that go on: watch, lock, elect, lease."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Annotated, Final

import typer

from raftwerk.api import lease_pb2
from raftwerk.cli.ctl_answers import read, show
from raftwerk.cli.ctl_shell import (
    INT64_MAX,
    AsJson,
    End,
    HexId,
    Prefix,
    PrevKv,
    Shell,
    as_dict,
    connected,
    key_range,
    lease_id,
    print_json,
    text_of,
)
from raftwerk.cli.habits import OPTIONS_OF
from raftwerk.client import Client, Compacted, Event, EventKind, LeaseLost
from raftwerk.client.contest import TTL_S, Contest
from raftwerk.client.election import Election
from raftwerk.client.lease import LEASES
from raftwerk.errors import UsageError

SIGNALLED: Final = 128
"""And the number of the signal: the exit code of what it has ended."""

lease = typer.Typer(help="Leases: keys that end when their owner does.", no_args_is_help=True)

Ttl = Annotated[
    int,
    typer.Option(
        "--ttl", min=1, max=INT64_MAX, help="Seconds until others have it, if this one dies."
    ),
]
Command = Annotated[
    list[str] | None, typer.Argument(help="Run it while held, and end with its exit code.")
]


@connected
def watch(
    shell: Shell,
    key: str,
    end: End = None,
    prefix: Prefix = False,
    rev: Annotated[
        int, typer.Option(min=0, max=INT64_MAX, help="Begin with what happened at this revision.")
    ] = 0,
    prev_kv: PrevKv = False,
    count: Annotated[int, typer.Option(min=0, help="End after so many events; 0: never.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print what happens to a key or to a range, until Ctrl-C. Servers may come and go: nothing is left out.

    Standard error tells from which revision on.
    """
    if end is not None and sys.argv[-2:] == ["--", end]:
        raise typer.BadParameter(f"-- {end}: {OPTIONS_OF['watch']['--']}")
    start, range_end = key_range(key, end, prefix=prefix)

    async def action(client: Client) -> int:
        shown = 0
        events = client.watch(start, range_end, start_revision=rev, prev_kv=prev_kv)
        try:
            async with events:
                first = events.next_revision
                print(f"watching from revision {first} on", file=sys.stderr, flush=True)
                async for event in events:
                    _print_event(event, as_json=as_json)
                    shown += 1
                    if shown == count:
                        break
        except Compacted as forgotten:
            forgotten.add_note(f"the first revision that is not forgotten is {forgotten.revision}")
            raise
        return 0

    shell.run(action, goes_on="watch")


def _print_event(event: Event, *, as_json: bool) -> None:
    if as_json:
        body = {"type": event.kind.name, "kv": as_dict(event.kv)}
        if event.prev_kv is not None:
            body["prev_kv"] = as_dict(event.prev_kv)
        print(json.dumps(body), flush=True)
        return
    text = partial(text_of, is_one_line=True)
    before = f" (before: {text(event.prev_kv.value)})" if event.prev_kv is not None else ""
    value = f" {text(event.value)}" if event.kind is EventKind.PUT else ""
    print(f"{event.revision} {event.kind.name} {text(event.key)}{value}{before}", flush=True)


@connected
def lock(shell: Shell, name: str, command: Command = None, ttl: Ttl = TTL_S) -> None:
    """Hold a lock: while a command runs (after --), or until Ctrl-C. Prints the key when it is held.

    The command finds it in ETCD_LOCK_KEY, and in ETCD_LOCK_REV the revision at which the key came to be: a fencing token, which
    grows from holder to holder.
    """

    async def action(client: Client) -> int:
        return await _hold(client.lock(os.fsencode(name), ttl), command or ())

    shell.run(action, goes_on="lock")


@connected
def elect(
    shell: Shell,
    name: str,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="What the others see.")
    ] = None,
    listen: Annotated[
        bool, typer.Option("--listen", "-l", help="Only print each leader, until Ctrl-C.")
    ] = False,
    ttl: Ttl = TTL_S,
) -> None:
    """Lead until Ctrl-C, as soon as it is this one's turn; or see who leads. Prints the leader's key and value, a line each."""
    if (value is None) != listen:
        raise typer.BadParameter("either VALUE, to lead, or --listen, to see who does")

    async def action(client: Client) -> int:
        election = client.election(os.fsencode(name))
        if value is not None:
            proposal = os.fsencode(value)
            return await _hold(election.campaign(proposal, ttl), (), [proposal])
        return await _until_told(_print_leaders(election))

    shell.run(action, goes_on="elect")


async def _print_leaders(election: Election) -> None:
    async for leader in election.observe():
        print(text_of(leader.key), text_of(leader.value), sep="\n", flush=True)


async def _until_told(work: Coroutine[object, object, None]) -> int:
    """Until it fails, or Ctrl-C or SIGTERM ends what was to be done until then."""
    task = asyncio.ensure_future(work)
    told: list[int] = []

    def hear(number: int) -> None:
        told.append(number)
        task.cancel()

    with _signals(hear):
        await asyncio.wait([task])
    if not told or not task.cancelled():
        task.result()
    return 0


async def _hold(contest: Contest, command: Sequence[str], more: Sequence[bytes] = ()) -> int:
    """Returns the exit code: as for a shell, 128 and the signal's number, when one comes while others hold it.

    more: lines that are printed after the key.
    """
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
                    return await _run_held(contest, command, told)
                print(*map(text_of, [contest.key, *more]), sep="\n", flush=True)
                await told.wait()
                return 0
        except asyncio.CancelledError:
            if not heard:
                raise
            holder.uncancel()
            return SIGNALLED + heard[0]


async def _run_held(contest: Contest, command: Sequence[str], told: asyncio.Event) -> int:
    """Until it ends; told: that it should."""
    held = {b"ETCD_LOCK_KEY": contest.key, b"ETCD_LOCK_REV": b"%d" % contest.revision}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=os.environb | held)
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
@connected
def lease_grant(
    shell: Shell,
    ttl_s: Annotated[int, typer.Argument(metavar="SECONDS", min=1, max=INT64_MAX)],
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

    shell.run(action)


@lease.command("revoke")
@connected
def lease_revoke(shell: Shell, lease: HexId) -> None:
    """End a lease, and delete its keys. Exit code 1: there was none."""
    number = lease_id(lease)

    async def action(client: Client) -> int:
        was_there = await client.lease_revoke(number)
        print(f"lease {lease} revoked" if was_there else f"there is no lease {lease}")
        return 0 if was_there else 1

    shell.run(action)


@lease.command("keep-alive")
@connected
def lease_keep_alive(
    shell: Shell,
    lease: HexId,
    once: Annotated[bool, typer.Option("--once", help="Renew it, and end.")] = False,
) -> None:
    """Give a lease its time anew, again and again until Ctrl-C. Exit code 1: it is no more."""
    number = lease_id(lease)

    async def action(client: Client) -> int:
        try:
            if once:
                print(f"lease {lease} renewed for {await client.lease_keep_alive_once(number)} s")
                return 0
            async with client.keep_alive(number) as kept:
                print(f"lease {lease} is kept alive, for {kept.ttl_s} s each time", flush=True)
                await kept.lost.wait()
                kept.check()
        except LeaseLost:
            print(f"lease {lease} is over")
        return 1

    shell.run(action, goes_on="lease keep-alive")


@lease.command("list")
@connected
def lease_list(shell: Shell, as_json: AsJson = False) -> None:
    """All leases."""

    ask = read(LEASES, lease_pb2.LeaseLeasesRequest(), lease_pb2.LeaseLeasesResponse)
    show(shell, ask, lambda answer: (f"{one.ID:x}" for one in answer.leases), as_json=as_json)


@lease.command("timetolive")
@connected
def lease_time_to_live(
    shell: Shell,
    lease: HexId,
    keys: Annotated[bool, typer.Option("--keys/--no-keys", help="Its keys, too.")] = True,
    as_json: AsJson = False,
) -> None:
    """What is left of a lease, and its keys. Exit code 1: it is no more."""
    number = lease_id(lease)

    async def action(client: Client) -> int:
        response = await client.lease_time_to_live(number, keys=keys)
        if as_json:
            print_json(response)
        elif response.TTL < 0:
            print(f"lease {lease} is over, or was never granted")
        else:
            print(f"lease {lease}: {response.TTL} s of {response.grantedTTL} s left")
            for key in response.keys:
                print(text_of(key))
        return 1 if response.TTL < 0 else 0

    shell.run(action)
