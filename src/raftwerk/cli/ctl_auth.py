"""Commands for people who say who may do what: user, role, auth."""

import sys
from typing import Annotated, Any, Final

import typer

from raftwerk.api import auth_pb2
from raftwerk.api import auth_rpc_pb2 as rpc
from raftwerk.cli.completion import one_of
from raftwerk.cli.ctl_answers import do, read, show
from raftwerk.cli.ctl_shell import (
    AsJson,
    End,
    FromKey,
    Prefix,
    Shell,
    as_dict,
    connected,
    key_range,
    print_json,
    printable,
    range_text,
)
from raftwerk.client import Client
from raftwerk.client.admin import AUTH
from raftwerk.errors import UsageError

user = typer.Typer(help="Who may come in.", no_args_is_help=True)
role = typer.Typer(help="What users may do.", no_args_is_help=True)
auth = typer.Typer(help="Whether anybody has to be a user.", no_args_is_help=True)

NewPassword = Annotated[str | None, typer.Option(help="Asked for, if it is not given.")]
Interactive = Annotated[
    bool,
    typer.Option(
        "--interactive/--no-interactive",
        help="Ask for the password on the terminal, or read a line of standard input.",
    ),
]
KINDS: Final = ("read", "write", "readwrite")
"""Of permissions."""
NO_TERMINAL: Final = (
    "the password is asked for on a terminal, and standard input is none: --no-interactive reads it from there, "
    "--new-user-password tells it"
)
EMPTY: Final = (
    "with an empty password, whoever knows the name comes in: tell another one; 'raftwerk user add NAME --no-password' "
    "makes a user who comes in with a certificate, and only so"
)


class _NewPassword:
    """One that was given, or is yet to be told. Raises BadParameter for one that is empty."""

    def __init__(self, given: str | None, *, interactive: bool) -> None:
        if given == "":
            raise typer.BadParameter(EMPTY)
        self.text = given or ""
        self._is_asked_for = interactive

    def ask(self) -> None:
        """Unless it was given. Raises UsageError, and typer.Abort when the user does not tell."""
        if self.text:
            return
        if not self._is_asked_for:
            self.text = _line_of_input()
        elif sys.stdin.isatty():
            what = "Password of the user"
            self.text = typer.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        else:
            raise UsageError(NO_TERMINAL)
        if not self.text:
            raise UsageError(EMPTY)


def _line_of_input() -> str:
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"a password is text in UTF-8, standard input is not: {error}") from error


@user.command("add")
@connected
def user_add(
    shell: Shell,
    name: Annotated[str, typer.Argument(help="NAME, or NAME:PASSWORD.")],
    new_user_password: NewPassword = None,
    no_password: Annotated[
        bool,
        typer.Option(
            "--no-password", help="One who comes in with a certificate of this name, and only so."
        ),
    ] = False,
    interactive: Interactive = True,
) -> None:
    """A new user. With --new-user-password or --no-password all of NAME is the name, also what is behind a colon."""
    if no_password and new_user_password is not None:
        raise typer.BadParameter("either --no-password or --new-user-password")
    if no_password:
        said = f"user {name} added, without a password"
        do(shell, said, lambda client: client.auth.user_add(name, None))
        return
    if new_user_password is None and ":" in name:
        name, _, new_user_password = name.partition(":")
        if not name:
            raise typer.BadParameter("there is no name before the colon")
    password = _NewPassword(new_user_password, interactive=interactive)
    do(
        shell,
        f"user {name} added",
        lambda client: client.auth.user_add(name, password.text),
        password.ask,
    )


@user.command("delete")
@connected
def user_delete(shell: Shell, name: str) -> None:
    """Nobody comes in under this name any more."""
    do(shell, f"user {name} deleted", lambda client: client.auth.user_delete(name))


@user.command("list")
@connected
def user_list(shell: Shell, as_json: AsJson = False) -> None:
    """All users."""
    ask = read(AUTH + "UserList", rpc.AuthUserListRequest(), rpc.AuthUserListResponse)
    show(shell, ask, lambda answer: answer.users, as_json=as_json)


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

    ask = read(AUTH + "UserGet", rpc.AuthUserGetRequest(name=name), rpc.AuthUserGetResponse)

    async def action(client: Client) -> int:
        answer = await ask(client)
        if as_json:
            print_json(answer)
            return 0
        for role in answer.roles:
            print(printable(role))
            for one in await client.auth.role_permissions(role) if detail else ():
                print(printable(f"  {_permission_text(one)}"))
        return 0

    shell.run(action)


@user.command("passwd")
@connected
def user_password(
    shell: Shell, name: str, new_user_password: NewPassword = None, interactive: Interactive = True
) -> None:
    """Another password."""
    password = _NewPassword(new_user_password, interactive=interactive)
    do(
        shell,
        f"password of {name} changed",
        lambda client: client.auth.user_change_password(name, password.text),
        password.ask,
    )


@user.command("grant-role")
@connected
def user_grant_role(shell: Shell, name: str, role: str) -> None:
    """The user may do what the role may."""
    do(shell, f"{name} has {role}", lambda client: client.auth.user_grant_role(name, role))


@user.command("revoke-role")
@connected
def user_revoke_role(shell: Shell, name: str, role: str) -> None:
    """Not any more."""
    said = f"{name} does not have {role} any more"
    do(shell, said, lambda client: client.auth.user_revoke_role(name, role))


@role.command("add")
@connected
def role_add(shell: Shell, name: str) -> None:
    """A new role, that may do nothing yet."""
    do(shell, f"role {name} added", lambda client: client.auth.role_add(name))


@role.command("delete")
@connected
def role_delete(shell: Shell, name: str) -> None:
    """Nobody has it any more."""
    do(shell, f"role {name} deleted", lambda client: client.auth.role_delete(name))


@role.command("list")
@connected
def role_list(shell: Shell, as_json: AsJson = False) -> None:
    """All roles."""
    ask = read(AUTH + "RoleList", rpc.AuthRoleListRequest(), rpc.AuthRoleListResponse)
    show(shell, ask, lambda answer: answer.roles, as_json=as_json)


@role.command("get")
@connected
def role_get(shell: Shell, name: str, as_json: AsJson = False) -> None:
    """What a role may do: kind, and keys as they are granted."""
    ask = read(AUTH + "RoleGet", rpc.AuthRoleGetRequest(role=name), rpc.AuthRoleGetResponse)
    show(
        shell,
        ask,
        lambda answer: map(_permission_text, answer.perm),
        as_json=as_json,
        fields=_fields_with_kinds,
    )


def _fields_with_kinds(answer: rpc.AuthRoleGetResponse) -> dict[str, Any]:
    """READ is the 0 that messages in JSON leave out."""
    fields = as_dict(answer)
    for one, permission in zip(fields.get("perm", ()), answer.perm, strict=True):
        one["permType"] = _kind(permission)
    return fields


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
    do(
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
    do(
        shell,
        f"role {name} may not use {range_text(*keys)} any more",
        lambda client: client.auth.role_revoke(name, *keys),
    )


@auth.command("enable")
@connected
def auth_enable(shell: Shell) -> None:
    """From now on only users are let in."""
    do(shell, "authentication is enabled", lambda client: client.auth.enable())


@auth.command("disable")
@connected
def auth_disable(shell: Shell) -> None:
    """From now on everybody is let in."""
    do(shell, "authentication is disabled", lambda client: client.auth.disable())


@auth.command("status")
@connected
def auth_status(shell: Shell, as_json: AsJson = False) -> None:
    """Whether it is enabled, and the revision of users, roles and that. Exit code 1: it is not enabled."""
    ask = read(AUTH + "AuthStatus", rpc.AuthStatusRequest(), rpc.AuthStatusResponse)

    async def action(client: Client) -> int:
        answer = await ask(client)
        if as_json:
            print_json(answer)
        else:
            word = "enabled" if answer.enabled else "disabled"
            print(f"{word}, auth revision {answer.authRevision}")
        return 0 if answer.enabled else 1

    shell.run(action)
