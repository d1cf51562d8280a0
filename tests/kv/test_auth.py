"""Users and roles as state: what each command changes, and what survives."""

from pathlib import Path

import pytest

from raftwerk.kv import auth_commands as commands
from raftwerk.kv.auth_commands import AuthCommand, Permission, PermissionType, TokenGrant
from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.auth_tokens import digest_of
from raftwerk.kv.commands import Authorized, Put, encode
from raftwerk.kv.results import AuthResult, KvError, Result
from tests.kv.rig import Rig

READ_A = Permission(PermissionType.READ, b"a", b"b")
ROOT = [commands.UserAdd("root", b"hash"), commands.UserGrantRole("root", "root")]
ENABLED = [*ROOT, commands.AuthEnable()]


def execute(rig: Rig, *given: AuthCommand) -> Result:
    """As the member itself: who may do it is another question. The result of the last one."""
    for command in given:
        result = rig.machine.auth.execute(command, rig.machine.revision)
    return result


REFUSED: dict[str, tuple[list[AuthCommand], AuthCommand, KvError]] = {
    "enable_without_root": ([], commands.AuthEnable(), KvError.ROOT_USER_NOT_FOUND),
    "enable_without_role": (ROOT[:1], commands.AuthEnable(), KvError.ROOT_ROLE_NOT_GRANTED),
    "no_user_name": ([], commands.UserAdd(""), KvError.USER_EMPTY),
    "user_twice": (ROOT, commands.UserAdd("root"), KvError.USER_EXISTS),
    "delete_nobody": ([], commands.UserDelete("u"), KvError.USER_NOT_FOUND),
    "delete_root": (ENABLED, commands.UserDelete("root"), KvError.INVALID_AUTH_MANAGEMENT),
    "password_of_nobody": ([], commands.UserChangePassword("u", b"h"), KvError.USER_NOT_FOUND),
    "role_to_nobody": ([], commands.UserGrantRole("u", "root"), KvError.USER_NOT_FOUND),
    "no_such_role": (ROOT, commands.UserGrantRole("root", "r"), KvError.ROLE_NOT_FOUND),
    "revoke_from_nobody": ([], commands.UserRevokeRole("u", "r"), KvError.USER_NOT_FOUND),
    "revoke_what_is_not": (ROOT, commands.UserRevokeRole("root", "r"), KvError.ROLE_NOT_GRANTED),
    "revoke_root": (
        ENABLED,
        commands.UserRevokeRole("root", "root"),
        KvError.INVALID_AUTH_MANAGEMENT,
    ),
    "no_role_name": ([], commands.RoleAdd(""), KvError.ROLE_EMPTY),
    "role_twice": ([commands.RoleAdd("r")], commands.RoleAdd("r"), KvError.ROLE_EXISTS),
    "delete_no_role": ([], commands.RoleDelete("r"), KvError.ROLE_NOT_FOUND),
    "delete_role_root": (ENABLED, commands.RoleDelete("root"), KvError.INVALID_AUTH_MANAGEMENT),
    "permission_to_no_role": (
        [],
        commands.RoleGrantPermission("r", READ_A),
        KvError.ROLE_NOT_FOUND,
    ),
    "revoke_permission_of_none": (
        [],
        commands.RoleRevokePermission("r", b"a"),
        KvError.ROLE_NOT_FOUND,
    ),
    "revoke_part_of_a_range": (
        [commands.RoleAdd("r"), commands.RoleGrantPermission("r", READ_A)],
        commands.RoleRevokePermission("r", b"a"),
        KvError.PERMISSION_NOT_GRANTED,
    ),
    "token_while_disabled": (ROOT, TokenGrant("root", b"d", 3), KvError.AUTH_NOT_ENABLED),
    "token_of_an_old_check": (ENABLED, TokenGrant("root", b"d", 2), KvError.AUTH_OLD_REVISION),
}


@pytest.mark.parametrize("case", REFUSED)
def test_change_is_refused(case: str) -> None:
    """And changes nothing."""
    before, command, error = REFUSED[case]
    rig = Rig()
    if before:
        execute(rig, *before)
    revision = rig.machine.auth.revision
    assert execute(rig, command) is error
    assert rig.machine.auth.revision == revision


def test_each_change_counts_the_revision_up() -> None:
    """Enabling does not, nor what is so already: as in etcd."""
    rig = Rig()
    revisions = []
    for command in (
        *ENABLED,
        commands.AuthEnable(),
        commands.RoleAdd("r"),
        commands.RoleGrantPermission("r", READ_A),
        commands.UserAdd("u"),
        commands.UserGrantRole("u", "r"),
        commands.UserGrantRole("u", "r"),
        commands.UserChangePassword("u", b"h"),
        commands.RoleRevokePermission("r", b"a", b"b"),
        commands.UserRevokeRole("u", "r"),
        commands.RoleDelete("r"),
        commands.UserDelete("u"),
        commands.AuthDisable(),
        commands.AuthDisable(),
    ):
        assert execute(rig, command) == AuthResult(1)
        revisions.append(rig.machine.auth.revision)
    assert revisions == [2, 3, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12, 13, 13]


def test_permission_on_the_same_range_is_replaced() -> None:
    rig = Rig()
    other = Permission(PermissionType.WRITE, b"a", b"c")
    execute(rig, commands.RoleAdd("r"))
    for permission in (READ_A, other, Permission(PermissionType.READWRITE, b"a", b"b")):
        execute(rig, commands.RoleGrantPermission("r", permission))
    assert rig.machine.auth.roles["r"] == (
        other,
        Permission(PermissionType.READWRITE, b"a", b"b"),
    )


def test_deleted_role_leaves_its_users() -> None:
    rig = Rig()
    execute(
        rig,
        commands.RoleAdd("r"),
        commands.UserAdd("u", b"h"),
        commands.UserGrantRole("u", "r"),
        commands.RoleDelete("r"),
    )
    assert rig.machine.auth.users["u"].roles == ()


def test_user_without_password_gets_none() -> None:
    rig = Rig()
    execute(rig, commands.UserAdd("u"), commands.UserChangePassword("u", b"h"))
    assert rig.machine.auth.users["u"].password_hash == b""


@pytest.mark.parametrize(
    "change",
    [commands.UserDelete("u"), commands.UserChangePassword("u", b"h"), commands.AuthDisable()],
    ids=lambda one: type(one).__name__,
)
def test_tokens_end_with_what_they_stand_for(change: AuthCommand) -> None:
    rig = Rig()
    execute(rig, *ENABLED, commands.UserAdd("u", b"h"), TokenGrant("u", digest_of("t"), 4))
    assert rig.machine.auth.tokens.find("t", 0) == "u"
    execute(rig, change)
    assert rig.machine.auth.tokens.find("t", 0) is None


@pytest.mark.parametrize("is_checkpointed", [True, False], ids=["checkpoint", "log"])
def test_auth_survives_a_crash(tmp_path: Path, *, is_checkpointed: bool) -> None:
    rig = Rig(tmp_path)
    for command in (
        *ROOT,
        commands.RoleAdd("r"),
        commands.RoleGrantPermission("r", READ_A),
        commands.AuthEnable(),
    ):
        rig.log.append(encode(Authorized(*MEMBER, command)))
        rig.machine.apply(rig.log[-1:], len(rig.log), len(rig.log).to_bytes(8, "big"))
    before = rig.machine.auth
    if is_checkpointed:
        rig.checkpoint()
    rig.crash()
    after = rig.machine.auth
    assert after is not before
    assert after.is_enabled
    assert (after.revision, after.users, after.roles) == (
        before.revision,
        before.users,
        before.roles,
    )
    assert rig.execute(Put(b"k")) is KvError.USER_EMPTY
    rig.close()


def test_auth_comes_with_a_snapshot(tmp_path: Path) -> None:
    """And the tokens known until then are over: their users may be others."""
    source, target = Rig(tmp_path / "source"), Rig(tmp_path / "target")
    execute(source, *ENABLED)
    source.machine.position = b"1"
    source.checkpoint()
    execute(target, *ENABLED, commands.UserAdd("u"), TokenGrant("root", digest_of("t"), 4))
    target.install(source.machine.open_snapshot())
    assert target.machine.auth.users.keys() == {"root"}
    assert target.machine.auth.tokens.find("t", 0) is None
    source.close()
    target.close()
