"""Commands for people who look after a cluster: compact, member, move-leader, alarm."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer

from raftwerk.api import rpc_pb2
from raftwerk.cli.ctl_answers import do, read, show
from raftwerk.cli.ctl_shell import (
    INT64_MAX,
    AsJson,
    HexId,
    Shell,
    connected,
    member_id,
    print_json,
    print_table,
)
from raftwerk.client import Client
from raftwerk.client.admin import CLUSTER, MAINTENANCE

member = typer.Typer(
    help="Who belongs to the cluster. (Servers of raftwerk cannot change that yet, those of etcd can.)",
    no_args_is_help=True,
)
alarm = typer.Typer(help="What keeps the cluster from writing.", no_args_is_help=True)

PeerUrls = Annotated[str, typer.Argument(metavar="URLS", help="Comma-separated.")]

_MEMBERS: Final = read(
    CLUSTER + "MemberList",
    rpc_pb2.MemberListRequest(linearizable=True),
    rpc_pb2.MemberListResponse,
)
_ALARMS: Final = read(
    MAINTENANCE + "Alarm",
    rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.GET),
    rpc_pb2.AlarmResponse,
)


@connected
def compact(
    shell: Shell,
    revision: Annotated[int, typer.Argument(max=INT64_MAX)],
    physical: Annotated[
        bool, typer.Option("--physical", help="Return when the space is free.")
    ] = False,
) -> None:
    """Forget versions that were overwritten before a revision."""
    do(
        shell,
        f"compacted revision {revision}",
        lambda client: client.compact(revision, physical=physical),
    )


@member.command("list")
@connected
def member_list(shell: Shell, as_json: AsJson = False) -> None:
    """The members of the cluster."""

    async def action(client: Client) -> int:
        answer = await _MEMBERS(client)
        if as_json:
            print_json(answer)
        else:
            _print_members(answer.members)
        return 0

    shell.run(action)


def _print_members(found: Sequence[rpc_pb2.Member]) -> None:
    rows = [
        (
            f"{one.ID:x}",
            one.name or "(not started)",
            ", ".join(one.peerURLs),
            ", ".join(one.clientURLs),
            "learner" if one.isLearner else "voter",
        )
        for one in found
    ]
    print_table(("member", "name", "peer URLs", "client URLs", "right"), rows)


@member.command("add")
@connected
def member_add(
    shell: Shell,
    peer_urls: PeerUrls,
    learner: Annotated[bool, typer.Option("--learner", help="One that does not vote.")] = False,
) -> None:
    """Announce a member, which is started after that."""

    async def action(client: Client) -> int:
        response = await client.members.add(peer_urls.split(","), is_learner=learner)
        print(f"member {response.member.ID:x} added; start it with")
        urls = [f"{one.name or 'NAME'}={url}" for one in response.members for url in one.peerURLs]
        print(f"  --name=NAME --initial-advertise-peer-urls={peer_urls}")
        print(f"  --initial-cluster-state=existing --initial-cluster={','.join(urls)}")
        return 0

    shell.run(action)


@member.command("remove")
@connected
def member_remove(shell: Shell, number: HexId) -> None:
    """Take a member out, for good."""
    which = member_id(number)
    do(shell, f"member {number} removed", lambda client: client.members.remove(which))


@member.command("update")
@connected
def member_update(shell: Shell, number: HexId, peer_urls: PeerUrls) -> None:
    """Other peer URLs for a member."""
    urls = peer_urls.split(",")
    which = member_id(number)
    do(shell, f"member {number} updated", lambda client: client.members.update(which, urls))


@member.command("promote")
@connected
def member_promote(shell: Shell, number: HexId) -> None:
    """From learner to voter."""
    which = member_id(number)
    do(shell, f"member {number} promoted", lambda client: client.members.promote(which))


@connected
def move_leader(shell: Shell, number: HexId) -> None:
    """Have another member of etcd lead; the present leader's endpoint has to be among those given. (Raftwerk cannot yet.)"""
    which = member_id(number)

    async def action(client: Client) -> int:
        leader = (await client.status()).leader
        await client.maintenance.move_leader(which)
        was_leading = which == leader
        print(f"member {number} leads" + " already: nothing was moved" * was_leading)
        return 0

    shell.run(action)


def _alarm_lines(answer: rpc_pb2.AlarmResponse) -> Iterator[str]:
    for one in answer.alarms:
        yield f"{one.memberID:x} {rpc_pb2.AlarmType.Name(one.alarm)}"


@alarm.command("list")
@connected
def alarm_list(shell: Shell, as_json: AsJson = False) -> None:
    """Member and alarm, one a line."""
    show(shell, _ALARMS, _alarm_lines, as_json=as_json)


@alarm.command("disarm")
@connected
def alarm_disarm(shell: Shell, as_json: AsJson = False) -> None:
    """End all alarms, and print them."""

    async def action(client: Client) -> rpc_pb2.AlarmResponse:
        found = await _ALARMS(client)
        for one in found.alarms:
            await client.maintenance.disarm(one)
        return found

    show(shell, action, _alarm_lines, as_json=as_json)
