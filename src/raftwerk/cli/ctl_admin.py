"""Commands for people who look after a cluster: compact, snapshot, member, alarm, user, role, auth."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, TypeVar

import typer

from raftwerk.api import auth_pb2, rpc_pb2
from raftwerk.cli.completion import one_of
from raftwerk.cli.ctl_shell import (
    INT64_MAX,
    AsJson,
    End,
    FromKey,
    Prefix,
    Shell,
    as_dict,
    connected,
    key_range,
    member_id,
    print_json_list,
    print_table,
    range_text,
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

NewPassword = Annotated[
    str,
    typer.Option(
        prompt="Password of the user",
        hide_input=True,
        confirmation_prompt=True,
        help="Asked for, if it is not given.",
    ),
]
KINDS: Final = ("read", "write", "readwrite")
"""Of permissions."""
T = TypeVar("T")


def _do(shell: Shell, said: str, action: Callable[[Client], Awaitable[object]]) -> None:
    async def done(client: Client) -> int:
        await action(client)
        print(said)
        return 0

    shell.run(done)


def _show(
    shell: Shell,
    action: Callable[[Client], Awaitable[Sequence[T]]],
    as_json: bool,
    text: Callable[[T], str] = str,
) -> None:
    """One a line."""

    async def shown(client: Client) -> int:
        found = await action(client)
        if as_json:
            print_json_list(found)
        else:
            for one in found:
                print(text(one))
        return 0

    shell.run(shown)


@connected
def compact(
    shell: Shell,
    revision: Annotated[int, typer.Argument(max=INT64_MAX)],
    physical: Annotated[
        bool, typer.Option("--physical", help="Return when the space is free.")
    ] = False,
) -> None:
    """Forget versions that were overwritten before a revision."""
    _do(
        shell,
        f"compacted revision {revision}",
        lambda client: client.compact(revision, physical=physical),
    )


@member.command("list")
@connected
def member_list(shell: Shell, as_json: AsJson = False) -> None:
    """The members of the cluster."""

    async def action(client: Client) -> int:
        _print_members(await client.members.list(), as_json=as_json)
        return 0

    shell.run(action)


def _print_members(found: Sequence[rpc_pb2.Member], *, as_json: bool) -> None:
    if as_json:
        print_json_list(found)
        return
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
    peer_urls: Annotated[str, typer.Argument(help="Comma-separated.")],
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
def member_remove(shell: Shell, number: str) -> None:
    """Take a member out, for good."""
    which = member_id(number)
    _do(shell, f"member {number} removed", lambda client: client.members.remove(which))


@member.command("update")
@connected
def member_update(shell: Shell, number: str, peer_urls: str) -> None:
    """Other peer URLs for a member."""
    urls = peer_urls.split(",")
    which = member_id(number)
    _do(shell, f"member {number} updated", lambda client: client.members.update(which, urls))


@member.command("promote")
@connected
def member_promote(shell: Shell, number: str) -> None:
    """From learner to voter."""
    which = member_id(number)
    _do(shell, f"member {number} promoted", lambda client: client.members.promote(which))


@connected
def move_leader(shell: Shell, number: str) -> None:
    """Have another member of etcd lead; the present leader's endpoint has to be among those given. (Raftwerk cannot yet.)"""
    which = member_id(number)
    _do(shell, f"member {number} leads", lambda client: client.maintenance.move_leader(which))


def _alarm_text(one: rpc_pb2.AlarmMember) -> str:
    return f"{one.memberID:x} {rpc_pb2.AlarmType.Name(one.alarm)}"


@alarm.command("list")
@connected
def alarm_list(shell: Shell, as_json: AsJson = False) -> None:
    """Member and alarm, one a line."""
    _show(shell, lambda client: client.maintenance.alarms(), as_json, _alarm_text)


@alarm.command("disarm")
@connected
def alarm_disarm(shell: Shell, as_json: AsJson = False) -> None:
    """End all alarms, and print them."""

    async def action(client: Client) -> Sequence[rpc_pb2.AlarmMember]:
        found = await client.maintenance.alarms()
        for one in found:
            await client.maintenance.disarm(one)
        return found

    _show(shell, action, as_json, _alarm_text)


@user.command("add")
@connected
def user_add(
    shell: Shell,
    name: str,
    new_user_password: NewPassword,
) -> None:
    """A new user."""
    _do(shell, f"user {name} added", lambda client: client.auth.user_add(name, new_user_password))


@user.command("delete")
@connected
def user_delete(shell: Shell, name: str) -> None:
    """Nobody comes in under this name any more."""
    _do(shell, f"user {name} deleted", lambda client: client.auth.user_delete(name))


@user.command("list")
@connected
def user_list(shell: Shell, as_json: AsJson = False) -> None:
    """All users."""
    _show(shell, lambda client: client.auth.users(), as_json)


@user.command("get")
@connected
def user_get(
    shell: Shell,
    name: str,
    detail: Annotated[bool, typer.Option("--detail", help="What they may do, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """The roles of a user."""
    if detail and as_json:
        raise typer.BadParameter("--detail is not for --json")

    async def action(client: Client) -> int:
        roles = await client.auth.user_roles(name)
        if as_json:
            print_json_list(roles)
            return 0
        for role in roles:
            print(role)
            for one in await client.auth.role_permissions(role) if detail else ():
                print(f"  {_permission_text(one)}")
        return 0

    shell.run(action)


@user.command("passwd")
@connected
def user_password(
    shell: Shell,
    name: str,
    new_user_password: NewPassword,
) -> None:
    """Another password."""
    _do(
        shell,
        f"password of {name} changed",
        lambda client: client.auth.user_change_password(name, new_user_password),
    )


@user.command("grant-role")
@connected
def user_grant_role(shell: Shell, name: str, role: str) -> None:
    """The user may do what the role may."""
    _do(shell, f"{name} has {role}", lambda client: client.auth.user_grant_role(name, role))


@user.command("revoke-role")
@connected
def user_revoke_role(shell: Shell, name: str, role: str) -> None:
    """Not any more."""
    said = f"{name} does not have {role} any more"
    _do(shell, said, lambda client: client.auth.user_revoke_role(name, role))


@role.command("add")
@connected
def role_add(shell: Shell, name: str) -> None:
    """A new role, that may do nothing yet."""
    _do(shell, f"role {name} added", lambda client: client.auth.role_add(name))


@role.command("delete")
@connected
def role_delete(shell: Shell, name: str) -> None:
    """Nobody has it any more."""
    _do(shell, f"role {name} deleted", lambda client: client.auth.role_delete(name))


@role.command("list")
@connected
def role_list(shell: Shell, as_json: AsJson = False) -> None:
    """All roles."""
    _show(shell, lambda client: client.auth.roles(), as_json)


@role.command("get")
@connected
def role_get(shell: Shell, name: str, as_json: AsJson = False) -> None:
    """What a role may do: kind, and keys as they are granted."""

    async def action(client: Client) -> int:
        found = await client.auth.role_permissions(name)
        if as_json:  # READ is the 0 that messages in JSON leave out
            print(json.dumps([{"permType": _kind(one), **as_dict(one)} for one in found]))
        else:
            for one in found:
                print(_permission_text(one))
        return 0

    shell.run(action)


def _kind(one: auth_pb2.Permission) -> str:
    return auth_pb2.Permission.Type.Name(one.permType)


def _permission_text(one: auth_pb2.Permission) -> str:
    return f"{_kind(one)} {range_text(one.key, one.range_end)}"


@role.command("grant-permission")
@connected
def role_grant(
    shell: Shell,
    name: str,
    kind: Annotated[
        str, typer.Argument(help="read, write or readwrite", autocompletion=one_of(KINDS))
    ],
    key: str,
    end: End = None,
    prefix: Prefix = False,
    from_key: FromKey = False,
) -> None:
    """Let a role read or write a key, or a range."""
    if kind.lower() not in KINDS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}")
    keys = key_range(key, end, prefix=prefix, from_key=from_key)
    _do(
        shell,
        f"role {name} may {kind} {range_text(*keys)}",
        lambda client: client.auth.role_grant(name, kind.upper(), *keys),
    )


@role.command("revoke-permission")
@connected
def role_revoke(
    shell: Shell,
    name: str,
    key: str,
    end: End = None,
    prefix: Prefix = False,
    from_key: FromKey = False,
) -> None:
    """Not any more. The range has to be the one that was granted."""
    keys = key_range(key, end, prefix=prefix, from_key=from_key)
    _do(
        shell,
        f"role {name} may not use {range_text(*keys)} any more",
        lambda client: client.auth.role_revoke(name, *keys),
    )


@auth.command("enable")
@connected
def auth_enable(shell: Shell) -> None:
    """From now on only users are let in."""
    _do(shell, "authentication is enabled", lambda client: client.auth.enable())


@auth.command("disable")
@connected
def auth_disable(shell: Shell) -> None:
    """From now on everybody is let in."""
    _do(shell, "authentication is disabled", lambda client: client.auth.disable())


@auth.command("status")
@connected
def auth_status(shell: Shell) -> None:
    """Exit code 1: it is not enabled."""

    async def action(client: Client) -> int:
        is_enabled = await client.auth.is_enabled()
        print("enabled" if is_enabled else "disabled")
        return 0 if is_enabled else 1

    shell.run(action)
