"""etcdserverpb.Auth over a connection in memory. (tests/interop/test_auth_as_on_etcd.py: etcd answers the same.)"""

from typing import Any

import pytest

from raftwerk.api import auth_pb2, auth_rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.kv.auth_commands import UserChangePassword
from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.auth_tokens import digest_of
from raftwerk.kv.commands import authorized, encode
from raftwerk.server.auth_passwords import Passwords
from raftwerk.server.auth_service import SWEEP_S, AuthService
from tests.server.fakes import FakeLoop, FakeNode, Outcome, Rig
from tests.server.test_auth_passwords import FakeBackground

TTL_S = 300


class AuthRig(Rig):
    """The service; passwords are compared when `call` is called."""

    def __init__(self) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop)
        self.background = FakeBackground()
        self.service = AuthService(
            self.node, loop, Passwords(4, lambda: self.background), signed_tokens=None
        )
        super().__init__(loop, self.service.methods())
        self.token = ""

    def ask(self, name: str, /, **fields: Any) -> Outcome:
        kind = name if name == "Authenticate" else f"Auth{name.removeprefix('Auth')}"
        request = getattr(auth_rpc_pb2, f"{kind}Request")(**fields)
        headers = {b"token": self.token.encode()} if self.token else None
        pending = self.start(f"/etcdserverpb.Auth/{name}", request, headers=headers)
        while pending.outcome is None:
            self.loop.settle()
            self.background.work()
            self.pump()
        return pending.outcome

    def enable(self) -> None:
        for name in ("root", "u"):
            self.ask("UserAdd", name=name, password=name)
        self.ask("UserGrantRole", user="root", role="root")
        assert self.ask("AuthEnable").status == status.OK

    def log_in(self, name: str) -> str:
        answer = self.ask("Authenticate", name=name, password=name)
        self.token = auth_rpc_pb2.AuthenticateResponse.FromString(answer.message).token
        return self.token


def refused(outcome: Outcome) -> Status:
    return Status(outcome.status, outcome.text)


def test_password_does_not_enter_the_log() -> None:
    """Nor does a token."""
    rig = AuthRig()
    rig.ask("UserAdd", name="root", password="my secret")
    rig.ask("UserGrantRole", user="root", role="root")
    rig.ask("AuthEnable")
    answer = rig.ask("Authenticate", name="root", password="my secret")
    token = auth_rpc_pb2.AuthenticateResponse.FromString(answer.message).token
    assert len(token.partition(".")[0]) == 16
    log = b"".join(rig.node.commands)
    assert b"secret" not in log
    assert token.encode() not in log


def test_answer_has_the_header() -> None:
    rig = AuthRig()
    outcome = rig.ask("RoleAdd", name="r")
    header = auth_rpc_pb2.AuthRoleAddResponse.FromString(outcome.message).header
    assert header.revision == 1
    assert header.cluster_id
    assert header.member_id


REFUSALS: dict[str, tuple[str, dict[str, Any], Status]] = {
    "no_permission": ("RoleGrantPermission", {"name": "r"}, status.PERMISSION_NOT_GIVEN),
    "no_such_kind": (
        "RoleGrantPermission",
        {"name": "r", "perm": auth_pb2.Permission(permType=9)},  # type: ignore[arg-type]
        status.INVALID_AUTH_MANAGEMENT,
    ),
    "long_password": ("UserAdd", {"name": "n", "password": "x" * 73}, status.PASSWORD_TOO_LONG),
    "unknown_role": ("RoleDelete", {"role": "r"}, status.ROLE_NOT_FOUND),
    "not_enabled": ("Authenticate", {"name": "n", "password": "p"}, status.AUTH_NOT_ENABLED),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_request_is_refused(case: str) -> None:
    name, fields, expected = REFUSALS[case]
    assert refused(AuthRig().ask(name, **fields)) == expected


@pytest.mark.parametrize("name", ["root", "nobody"])
def test_wrong_password_and_wrong_name_are_told_alike(name: str) -> None:
    rig = AuthRig()
    rig.enable()
    answer = rig.ask("Authenticate", name=name, password="wrong")
    assert refused(answer) == status.AUTH_FAILED


def test_user_reads_itself_and_nobody_else() -> None:
    rig = AuthRig()
    rig.enable()
    rig.log_in("u")
    assert rig.ask("UserGet", name="u").status == status.OK
    assert refused(rig.ask("UserGet", name="root")) == status.NOT_PERMITTED
    rig.token = ""
    assert refused(rig.ask("UserGet", name="")) == status.USER_EMPTY


def test_hash_is_not_worked_out_for_who_may_not_use_it() -> None:
    rig = AuthRig()
    rig.enable()
    rig.log_in("u")
    outcome = rig.call(
        "/etcdserverpb.Auth/UserAdd",
        auth_rpc_pb2.AuthUserAddRequest(name="n", password="p"),
        headers={b"token": rig.token.encode()},
    )
    assert refused(outcome) == status.NOT_PERMITTED
    assert rig.background.jobs == []


def test_token_ends_when_it_is_not_used() -> None:
    rig = AuthRig()
    rig.enable()
    rig.service.start()
    rig.log_in("root")
    rig.advance(TTL_S - SWEEP_S)
    assert rig.ask("UserList").status == status.OK
    rig.advance(TTL_S + SWEEP_S)
    assert refused(rig.ask("UserList")) == status.INVALID_TOKEN
    rig.service.stop()
    assert rig.loop.timers == 0


def test_password_that_changes_while_it_is_checked_gives_no_token() -> None:
    rig = AuthRig()
    rig.enable()
    request = auth_rpc_pb2.AuthenticateRequest(name="u", password="u")
    pending = rig.start("/etcdserverpb.Auth/Authenticate", request)
    rig.loop.settle()
    ((job, done),) = rig.background.jobs
    rig.background.jobs.clear()
    is_right = job()
    change = encode(UserChangePassword("u", rig.node.machine.auth.users["root"].password_hash))
    rig.node.apply(authorized(*MEMBER, change))
    done(is_right)
    while pending.outcome is None:
        rig.loop.settle()
        rig.background.work()
        rig.pump()
    assert refused(pending.outcome) == status.AUTH_FAILED
    assert len(rig.node.machine.auth.tokens) == 0


def test_member_that_is_late_waits_for_the_token() -> None:
    """It was granted elsewhere a moment ago, and is known after the barrier."""
    rig = AuthRig()
    rig.enable()
    token = rig.log_in("root")
    tokens = rig.node.machine.auth.tokens
    user = tokens.find(token, 0)
    tokens.clear()
    rig.node.is_stuck = True
    request = auth_rpc_pb2.AuthRoleAddRequest(name="r")
    pending = rig.start("/etcdserverpb.Auth/RoleAdd", request, headers={b"token": token.encode()})
    assert user is not None
    tokens.grant(digest_of(token), user)
    rig.node.release()
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome.status == status.OK
