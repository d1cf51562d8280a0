"""Which keys of a lease a user is told, by the rights that it has when it is answered."""

import pytest

from raftwerk.api import status
from raftwerk.api.lease_pb2 import LeaseTimeToLiveRequest, LeaseTimeToLiveResponse
from raftwerk.kv import auth_commands as auth
from raftwerk.kv.auth_commands import Permission, PermissionType
from raftwerk.kv.auth_tokens import digest_of
from raftwerk.kv.commands import Authorized, encode
from raftwerk.server.lease_service import SLICE_KEYS
from tests.server.fakes import PendingCall
from tests.server.test_lease_service import TTL, A, LeaseRig

READ = PermissionType.READ
SETUP = (
    auth.UserAdd("root", b"h"),
    auth.UserGrantRole("root", "root"),
    auth.UserAdd("user", b"h"),
    auth.RoleAdd("of a"),
    auth.RoleAdd("of b"),
    auth.RoleGrantPermission("of a", Permission(READ, b"a", b"b")),
    auth.RoleGrantPermission("of b", Permission(READ, b"b", b"c")),
    auth.UserGrantRole("user", "of a"),
    auth.UserGrantRole("user", "of b"),
    auth.AuthEnable(),
)
KEYS = [b"%c%05d" % (letter, number) for letter in b"ab" for number in range(SLICE_KEYS)]


@pytest.fixture
def rig() -> LeaseRig:
    rig = LeaseRig()
    rig.grant(keys=KEYS)
    for command in SETUP:
        rig.node.apply(encode(command))
    rig.node.machine.auth.tokens.grant(digest_of("token"), "user")
    return rig


def asked(rig: LeaseRig) -> PendingCall:
    request = LeaseTimeToLiveRequest(ID=A, keys=True)
    return rig.start(TTL, request, headers={b"token": b"token"})


def test_user_is_told_keys_that_it_may_read(rig: LeaseRig) -> None:
    call = asked(rig)
    rig.advance(0)
    assert call.outcome is not None
    assert list(LeaseTimeToLiveResponse.FromString(call.outcome.message).keys) == KEYS


@pytest.mark.parametrize("turns", [0, 1])
def test_right_that_is_taken_away_meanwhile_is_gone(rig: LeaseRig, turns: int) -> None:
    """Also to keys that had been read by then."""
    call = asked(rig)
    for _ in range(turns):
        assert rig.loop.turn()
    assert call.outcome is None
    revoke = auth.UserRevokeRole("user", "of a")
    rig.node.apply(encode(Authorized("root", rig.node.machine.auth.revision, revoke)))
    rig.advance(0)
    assert call.outcome is not None
    assert (call.outcome.status, call.outcome.message) == (status.PERMISSION_DENIED, b"")
