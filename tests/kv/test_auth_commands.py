"""Auth commands in the log."""

import pytest

from raftwerk.kv import auth_commands, commands
from raftwerk.kv.auth_commands import AuthCommand, Permission, PermissionType
from raftwerk.kv.commands import Authorized, Put, authorized, decode, encode

ENCODED: list[tuple[AuthCommand, list[object]]] = [
    (auth_commands.AuthEnable(), [21]),
    (auth_commands.AuthDisable(), [22]),
    (auth_commands.UserAdd("u", b"h"), [23, "u", b"h"]),
    (auth_commands.UserDelete("u"), [24, "u"]),
    (auth_commands.UserChangePassword("u", b"h"), [25, "u", b"h"]),
    (auth_commands.UserGrantRole("u", "r"), [26, "u", "r"]),
    (auth_commands.UserRevokeRole("u", "r"), [27, "u", "r"]),
    (auth_commands.RoleAdd("r"), [28, "r"]),
    (auth_commands.RoleDelete("r"), [29, "r"]),
    (
        auth_commands.RoleGrantPermission("r", Permission(PermissionType.WRITE, b"a", b"b")),
        [30, "r", [1, b"a", b"b"]],
    ),
    (auth_commands.RoleRevokePermission("r", b"a", b"b"), [31, "r", b"a", b"b"]),
    (auth_commands.TokenGrant("u", b"d", 7), [32, "u", b"d", 7]),
]


@pytest.mark.parametrize(("command", "plain"), ENCODED, ids=lambda one: type(one).__name__)
def test_command_has_its_tag_and_its_order(command: AuthCommand, plain: list[object]) -> None:
    """They are on disk for ever."""
    assert encode(command) == commands.encode(plain)
    assert decode(encode(command)) == command


def test_authorized_goes_around_a_command_that_is_encoded() -> None:
    data = authorized("u", 3, encode(Put(b"k", b"v")))
    assert data == encode([20, "u", 3, [2, b"k", b"v", 0, False, False, False]])
    assert decode(data) == Authorized("u", 3, Put(b"k", b"v"))
