"""Commands for people who look after a cluster: compact, snapshot, member, alarm, user, role, auth."""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer
from rich.markup import escape

from raftwerk.api import auth_pb2, rpc_pb2
from raftwerk.cli.ctl_shell import (
    DEFAULT,
    INT64_MAX,
    AsJson,
    Endpoints,
    as_dict,
    member_id,
    print_table,
    run,
    table,
    text_of,
)
from raftwerk.client import Client

member = typer.Typer(
    help="Who belongs to the cluster. (Servers of raftwerk cannot change that yet, those of etcd can.)",
    no_args_is_help=True,
)
alarm = typer.Typer(help="What keeps the cluster from writing.", no_args_is_help=True)
user = typer.Typer(help="Who may come in.", no_args_is_help=True)
role = typer.Typer(help="What users may do.", no_args_is_help=True)
auth = typer.Typer(help="Whether anybody has to be a user.", no_args_is_help=True)

Prefix = Annotated[bool, typer.Option("--prefix", help="All keys that begin with KEY.")]


def _do(endpoints: str, said: str, action: Callable[[Client], Awaitable[object]]) -> None:
    async def done(client: Client) -> int:
        await action(client)
        print(said)
        return 0

    run(endpoints, done)


def _show(
    endpoints: str, action: Callable[[Client], Awaitable[Sequence[str]]], as_json: bool
) -> None:
    """Names, one a line."""

    async def shown(client: Client) -> int:
        names = list(await action(client))
        if names or as_json:
            print(json.dumps(names) if as_json else "\n".join(names))
        return 0

    run(endpoints, shown)


def compact(
    revision: Annotated[int, typer.Argument(max=INT64_MAX)],
    physical: Annotated[
        bool, typer.Option("--physical", help="Return when the space is free.")
    ] = False,
    endpoints: Endpoints = DEFAULT,
) -> None:
    """Forget versions that were overwritten before a revision."""
    _do(
        endpoints,
        f"compacted revision {revision}",
        lambda client: client.compact(revision, physical=physical),
    )


@member.command("list")
def member_list(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """The members of the cluster."""

    async def action(client: Client) -> int:
        _print_members(await client.members.list(), as_json=as_json)
        return 0

    run(endpoints, action)


def _print_members(found: Sequence[rpc_pb2.Member], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([as_dict(one) for one in found]))
        return
    rows = table("member", "name", "peer URLs", "client URLs", "right")
    for one in found:
        rows.add_row(
            f"{one.ID:x}",
            escape(one.name or "(not started)"),
            ", ".join(one.peerURLs),
            ", ".join(one.clientURLs),
            "learner" if one.isLearner else "voter",
        )
    print_table(rows)


@member.command("add")
def member_add(
    peer_urls: Annotated[str, typer.Argument(help="Comma-separated.")],
    learner: Annotated[bool, typer.Option("--learner", help="One that does not vote.")] = False,
    endpoints: Endpoints = DEFAULT,
) -> None:
    """Announce a member, which is started after that."""

    async def action(client: Client) -> int:
        response = await client.members.add(peer_urls.split(","), is_learner=learner)
        print(f"member {response.member.ID:x} added")
        return 0

    run(endpoints, action)


@member.command("remove")
def member_remove(number: str, endpoints: Endpoints = DEFAULT) -> None:
    """Take a member out, for good."""
    _do(
        endpoints,
        f"member {number} removed",
        lambda client: client.members.remove(member_id(number)),
    )


@member.command("update")
def member_update(number: str, peer_urls: str, endpoints: Endpoints = DEFAULT) -> None:
    """Other peer URLs for a member."""
    urls = peer_urls.split(",")
    _do(
        endpoints,
        f"member {number} updated",
        lambda client: client.members.update(member_id(number), urls),
    )


@member.command("promote")
def member_promote(number: str, endpoints: Endpoints = DEFAULT) -> None:
    """From learner to voter."""
    _do(
        endpoints,
        f"member {number} promoted",
        lambda client: client.members.promote(member_id(number)),
    )


def move_leader(number: str, endpoints: Endpoints = DEFAULT) -> None:
    """Have another member of etcd lead; the endpoint has to be the present leader's. (Raftwerk cannot yet.)"""
    _do(
        endpoints,
        f"member {number} leads",
        lambda client: client.maintenance.move_leader(member_id(number)),
    )


def _alarm_text(one: rpc_pb2.AlarmMember) -> str:
    return f"{one.memberID:x} {rpc_pb2.AlarmType.Name(one.alarm)}"


@alarm.command("list")
def alarm_list(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """Member and alarm, one a line."""

    async def action(client: Client) -> Sequence[str]:
        return [_alarm_text(one) for one in await client.maintenance.alarms()]

    _show(endpoints, action, as_json)


@alarm.command("disarm")
def alarm_disarm(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """End all alarms, and print them."""

    async def action(client: Client) -> Sequence[str]:
        found = await client.maintenance.alarms()
        for one in found:
            await client.maintenance.disarm(one)
        return [_alarm_text(one) for one in found]

    _show(endpoints, action, as_json)


@user.command("add")
def user_add(
    name: str,
    password: Annotated[
        str | None, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)
    ] = None,
    endpoints: Endpoints = DEFAULT,
) -> None:
    """A new user."""
    _do(endpoints, f"user {name} added", lambda client: client.auth.user_add(name, password))


@user.command("delete")
def user_delete(name: str, endpoints: Endpoints = DEFAULT) -> None:
    """Nobody comes in under this name any more."""
    _do(endpoints, f"user {name} deleted", lambda client: client.auth.user_delete(name))


@user.command("list")
def user_list(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """All users."""
    _show(endpoints, lambda client: client.auth.users(), as_json)


@user.command("get")
def user_get(name: str, endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """The roles of a user."""
    _show(endpoints, lambda client: client.auth.user_roles(name), as_json)


@user.command("passwd")
def user_password(
    name: str,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
    endpoints: Endpoints = DEFAULT,
) -> None:
    """Another password."""
    _do(
        endpoints,
        f"password of {name} changed",
        lambda client: client.auth.user_change_password(name, password),
    )


@user.command("grant-role")
def user_grant_role(name: str, role: str, endpoints: Endpoints = DEFAULT) -> None:
    """The user may do what the role may."""
    _do(endpoints, f"{name} has {role}", lambda client: client.auth.user_grant_role(name, role))


@user.command("revoke-role")
def user_revoke_role(name: str, role: str, endpoints: Endpoints = DEFAULT) -> None:
    """Not any more."""
    said = f"{name} does not have {role} any more"
    _do(endpoints, said, lambda client: client.auth.user_revoke_role(name, role))


@role.command("add")
def role_add(name: str, endpoints: Endpoints = DEFAULT) -> None:
    """A new role, that may do nothing yet."""
    _do(endpoints, f"role {name} added", lambda client: client.auth.role_add(name))


@role.command("delete")
def role_delete(name: str, endpoints: Endpoints = DEFAULT) -> None:
    """Nobody has it any more."""
    _do(endpoints, f"role {name} deleted", lambda client: client.auth.role_delete(name))


@role.command("list")
def role_list(endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """All roles."""
    _show(endpoints, lambda client: client.auth.roles(), as_json)


@role.command("get")
def role_get(name: str, endpoints: Endpoints = DEFAULT, as_json: AsJson = False) -> None:
    """What a role may do: kind, key, end of the range."""

    async def action(client: Client) -> Sequence[str]:
        return [
            f"{auth_pb2.Permission.Type.Name(one.permType)} {text_of(one.key)} {text_of(one.range_end)}".rstrip()
            for one in await client.auth.role_permissions(name)
        ]

    _show(endpoints, action, as_json)


@role.command("grant-permission")
def role_grant(
    name: str,
    kind: Annotated[str, typer.Argument(help="read, write or readwrite")],
    key: str,
    prefix: Prefix = False,
    endpoints: Endpoints = DEFAULT,
) -> None:
    """Let a role read or write a key, or all with a prefix."""
    if kind.lower() not in ("read", "write", "readwrite"):
        raise typer.BadParameter(f"{kind!r} is none of read, write, readwrite")
    _do(
        endpoints,
        f"role {name} may {kind} {key}",
        lambda client: client.auth.role_grant(name, kind.upper(), os.fsencode(key), prefix=prefix),
    )


@role.command("revoke-permission")
def role_revoke(
    name: str, key: str, prefix: Prefix = False, endpoints: Endpoints = DEFAULT
) -> None:
    """Not any more."""
    _do(
        endpoints,
        f"role {name} may not use {key} any more",
        lambda client: client.auth.role_revoke(name, os.fsencode(key), prefix=prefix),
    )


@auth.command("enable")
def auth_enable(endpoints: Endpoints = DEFAULT) -> None:
    """From now on only users are let in."""
    _do(endpoints, "authentication is enabled", lambda client: client.auth.enable())


@auth.command("disable")
def auth_disable(endpoints: Endpoints = DEFAULT) -> None:
    """From now on everybody is let in."""
    _do(endpoints, "authentication is disabled", lambda client: client.auth.disable())


@auth.command("status")
def auth_status(endpoints: Endpoints = DEFAULT) -> None:
    """Exit code 1: it is not enabled."""

    async def action(client: Client) -> int:
        is_enabled = await client.auth.is_enabled()
        print("enabled" if is_enabled else "disabled")
        return 0 if is_enabled else 1

    run(endpoints, action)
