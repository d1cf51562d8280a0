"""Who makes a call, and whether it may."""

from typing import Any

import pytest
from google.protobuf.message import Message

from raftwerk.api import election_pb2, lease_pb2, lock_pb2, rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv import auth_commands as commands
from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.auth_tokens import digest_of
from raftwerk.kv.commands import LeaseGrant, Put, authorized, encode
from raftwerk.replica.failure import Failure
from raftwerk.server.auth_guard import ADMIN_ONLY, Guard, reason
from raftwerk.server.contest import Contests
from raftwerk.server.election_service import ElectionService
from raftwerk.server.kv_service import KvService
from raftwerk.server.lease_service import LeaseService
from raftwerk.server.lock_service import LockService
from raftwerk.server.slices import Slices
from tests.server.fakes import FakeLoop, FakeNode, Rig, SlowLoop

RANGE = "/etcdserverpb.KV/Range"
PUT = "/etcdserverpb.KV/Put"
TXN = "/etcdserverpb.KV/Txn"
ALARM = "/etcdserverpb.Maintenance/Alarm"
SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"
TTL = "/etcdserverpb.Lease/LeaseTimeToLive"
LEADER = "/v3electionpb.Election/Leader"
LEASE = 7
READ_A = commands.Permission(commands.PermissionType.READ, b"a")
READ_E = commands.Permission(commands.PermissionType.READ, b"e/", b"e0")


class GuardRig(Rig):
    """A key-value service, and methods that answer at once. Users root and u have tokens of their names."""

    def __init__(self, *, is_enabled: bool = True, loop: FakeLoop | None = None) -> None:
        loop = loop or FakeLoop()
        self.opened = 0
        """Snapshots that were begun."""
        self.node = FakeNode(loop)
        guard = Guard(self.node, loop)
        named: dict[str, Method] = {
            path: UnaryMethod(lambda call, data: call.reply(data)) for path in ADMIN_ONLY
        }
        named[SNAPSHOT] = StreamMethod(self._snapshot)
        slices = Slices(loop)
        kv = KvService(self.node, loop, slices, lambda: False)
        lease = LeaseService(self.node, loop, slices, lambda: False)
        hub = self.node.machine.open_hub(lambda: None, lambda: None)
        election = ElectionService(Contests(self.node, loop, slices, hub, lambda: False))
        services = (kv, lease, election)
        super().__init__(loop, *(one.methods() for one in services), guard.protect(named))
        if is_enabled:
            self.enable()

    def _snapshot(self, call: Call) -> None:
        self.opened += 1

        def on_message(data: bytes) -> None:
            call.send(b"snapshot of " + data)
            call.finish()

        call.on_message = on_message

    def enable(self) -> None:
        for command in (
            commands.UserAdd("root", b"h"),
            commands.UserGrantRole("root", "root"),
            commands.UserAdd("u", b"h"),
            commands.RoleAdd("r"),
            commands.RoleGrantPermission("r", READ_A),
            commands.UserGrantRole("u", "r"),
            commands.AuthEnable(),
            commands.TokenGrant("root", digest_of("root"), 7),
            commands.TokenGrant("u", digest_of("u"), 7),
        ):
            self.node.apply(authorized(*MEMBER, encode(command)))

    def answer(self, path: str, request: Any, **headers: str) -> Status:
        fields = {name.encode(): value.encode() for name, value in headers.items()}
        outcome = self.call(path, request, headers=fields)
        return Status(outcome.status, outcome.text)


GET_A = rpc_pb2.RangeRequest(key=b"a")
ALLOWED = Status(status.OK, "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"token": "u"}, ALLOWED),
        ({"authorization": "u"}, ALLOWED),
        ({"authorization": "Bearer u"}, ALLOWED),
        ({"authorization": "Bearer x", "token": "u"}, ALLOWED),
        ({"token": "x"}, status.INVALID_TOKEN),
        ({"token": ""}, status.INVALID_TOKEN),
        ({}, status.USER_EMPTY),
    ],
    ids=["token", "authorization", "bearer", "both", "unknown", "empty", "none"],
)
@pytest.mark.parametrize("serializable", [True, False], ids=["here", "linearizable"])
def test_token_is_found_in_the_metadata(
    headers: dict[str, str], expected: Status, *, serializable: bool
) -> None:
    request = rpc_pb2.RangeRequest(key=b"a", serializable=serializable)
    assert GuardRig().answer(RANGE, request, **headers) == expected


@pytest.mark.parametrize("serializable", [True, False], ids=["here", "linearizable"])
def test_read_is_judged_by_its_keys(*, serializable: bool) -> None:
    """Of a range, and of a transaction that only reads."""
    rig = GuardRig()
    foreign = rpc_pb2.RangeRequest(key=b"a", range_end=b"c", serializable=serializable)
    txn = rpc_pb2.TxnRequest(success=[rpc_pb2.RequestOp(request_range=foreign)])
    assert rig.answer(RANGE, foreign, token="u") == status.NOT_PERMITTED
    assert rig.answer(TXN, txn, token="u") == status.NOT_PERMITTED
    assert rig.answer(RANGE, foreign, token="root") == ALLOWED
    assert rig.answer(TXN, txn, token="root") == ALLOWED


def test_read_is_judged_after_its_barrier() -> None:
    """What was taken from the user before the answer is not told."""
    rig = GuardRig()
    rig.node.is_stuck = True
    pending = rig.start(RANGE, GET_A, headers={b"token": b"u"})
    revoke = encode(commands.RoleRevokePermission("r", b"a"))
    rig.node.apply(authorized(*MEMBER, revoke))
    rig.node.release()
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome.status == status.PERMISSION_DENIED


RANGE_A = rpc_pb2.RangeRequest(key=b"a", range_end=b"a\0")
READ_TXNS = [
    rpc_pb2.TxnRequest(success=[rpc_pb2.RequestOp(request_range=one)]) for one in (GET_A, RANGE_A)
]
READS: dict[str, tuple[str, Message]] = {
    "key": (RANGE, GET_A),
    "range": (RANGE, RANGE_A),
    "txn of a key": (TXN, READ_TXNS[0]),
    "txn of a range": (TXN, READ_TXNS[1]),
    "keys of a lease": (TTL, lease_pb2.LeaseTimeToLiveRequest(ID=LEASE, keys=True)),
    "leader": (LEADER, election_pb2.LeaderRequest(name=b"e")),
}


@pytest.mark.parametrize(("path", "read"), READS.values(), ids=READS)
def test_read_that_waits_for_its_turn_is_judged_when_it_reads(path: str, read: Message) -> None:
    """More of them came together than are read in one turn of the loop: the last one's right is taken away meanwhile."""
    rig = GuardRig(loop=SlowLoop())
    for permission in (READ_A, READ_E):
        grant = commands.RoleGrantPermission("r", permission)
        rig.node.apply(authorized(*MEMBER, encode(grant)))
    for command in (LeaseGrant(LEASE, 60), Put(b"a", lease=LEASE), Put(b"e/%x" % LEASE)):
        rig.node.apply(authorized(*MEMBER, encode(command)))
    rig.node.is_stuck = True
    pending = [rig.start(path, read, headers={b"token": b"u"}) for _ in range(9)]
    rig.node.release()
    for permission in (READ_A, READ_E):
        revoke = commands.RoleRevokePermission("r", permission.key, permission.range_end)
        rig.node.apply(authorized(*MEMBER, encode(revoke)))
    rig.loop.settle()
    rig.pump()
    codes = [one.outcome and one.outcome.status for one in pending]
    assert (codes[0], codes[-1]) == (status.OK, status.PERMISSION_DENIED)


def test_write_goes_with_its_user() -> None:
    rig = GuardRig()
    put = rpc_pb2.PutRequest(key=b"k", value=b"v")
    assert rig.answer(PUT, put, token="root") == ALLOWED
    assert rig.node.commands == [authorized("root", 7, encode(Put(b"k", b"v")))]
    assert rig.answer(PUT, put, token="u") == status.NOT_PERMITTED
    assert rig.answer(PUT, put) == status.USER_EMPTY


def test_lock_with_an_invalid_token_is_over() -> None:
    """Nothing is kept of it."""
    rig = GuardRig()
    loop = rig.loop
    hub = rig.node.machine.open_hub(lambda: None, lambda: None)
    contests = Contests(rig.node, loop, Slices(loop), hub, lambda: False)
    locks = Rig(loop, LockService(contests).methods())
    request = lock_pb2.LockRequest(name=b"n")
    outcome = locks.call("/v3lockpb.Lock/Lock", request, headers={b"token": b"x"})
    assert outcome.text == status.INVALID_TOKEN.text
    assert not contests.open


def test_nothing_is_added_while_auth_is_disabled() -> None:
    """Whatever token comes along."""
    rig = GuardRig(is_enabled=False)
    assert rig.answer(PUT, rpc_pb2.PutRequest(key=b"k"), token="x") == ALLOWED
    assert rig.node.commands == [encode(Put(b"k"))]
    assert rig.answer(RANGE, GET_A, token="x") == ALLOWED


@pytest.mark.parametrize("path", sorted(ADMIN_ONLY - {ALARM, SNAPSHOT}))
def test_call_is_for_administrators(path: str) -> None:
    rig = GuardRig()
    assert rig.answer(path, b"", token="u") == status.NOT_PERMITTED
    assert rig.answer(path, b"") == status.USER_EMPTY
    assert rig.answer(path, b"", token="x") == status.INVALID_TOKEN
    assert rig.answer(path, b"", token="root") == ALLOWED
    assert GuardRig(is_enabled=False).answer(path, b"") == ALLOWED


def test_snapshot_is_for_administrators() -> None:
    """What its client sends is not lost while it is found out who that is."""
    rig = GuardRig()
    assert rig.answer(SNAPSHOT, b"", token="u") == status.NOT_PERMITTED
    pending = rig.start(SNAPSHOT, b"it", headers={b"token": b"root"})
    rig.loop.settle()
    rig.pump()
    assert pending.messages == [b"snapshot of it"]
    assert pending.outcome is not None
    assert pending.outcome.status == status.OK


def test_snapshot_is_refused_when_it_was_asked_for() -> None:
    """Not before: grpcio takes an end that overtakes its request for an error of its own."""
    rig = GuardRig()
    pending = rig.open(SNAPSHOT, headers={b"token": b"u"})
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is None
    pending.client_call.send(b"")
    rig.pump()
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome[:2] == status.NOT_PERMITTED


def test_snapshot_without_a_request_is_answered_as_in_etcd() -> None:
    rig = GuardRig()
    pending = rig.open(SNAPSHOT, headers={b"token": b"root"})
    pending.client_call.half_close()
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome[:2] == (status.UNKNOWN, "EOF")


@pytest.mark.parametrize("path", [SNAPSHOT, "/etcdserverpb.Maintenance/HashKV"])
def test_administrators_are_told_after_the_barrier(path: str) -> None:
    """A member that has not heard yet that auth was enabled lets nobody through for that."""
    rig = GuardRig(is_enabled=False)
    rig.node.is_stuck = True
    pending = rig.start(path, b"")
    rig.enable()
    rig.node.release()
    rig.loop.settle()
    rig.pump()
    assert pending.outcome is not None
    assert pending.outcome[:2] == status.USER_EMPTY


@pytest.mark.parametrize("has_leader", [True, False])
def test_what_a_member_has_is_told_without_a_quorum_by_what_it_knows(*, has_leader: bool) -> None:
    """A snapshot waits for a barrier itself."""
    for is_enabled, allowed in ((False, ALLOWED), (True, status.USER_EMPTY)):
        rig = GuardRig(is_enabled=is_enabled)
        rig.node.has_leader = has_leader
        rig.node.failure = Failure.TIMED_OUT
        assert rig.answer("/etcdserverpb.Maintenance/HashKV", b"") == allowed
        assert rig.answer(SNAPSHOT, b"", token="root") == status.TIMED_OUT


def test_call_that_was_left_before_the_barrier_is_not_begun() -> None:
    rig = GuardRig()
    rig.node.is_stuck = True
    pending = rig.start(SNAPSHOT, b"", headers={b"token": b"root"})
    pending.client_call.cancel()
    rig.pump()
    rig.node.release()
    assert rig.opened == 0


@pytest.mark.parametrize("path", [RANGE, PUT, SNAPSHOT, "/etcdserverpb.Maintenance/HashKV"])
def test_unknown_token_is_not_called_invalid_without_a_quorum(path: str) -> None:
    """It may have been granted a moment ago: nobody can tell now. A known one is another matter."""
    rig = GuardRig()
    rig.node.failure = Failure.TIMED_OUT
    request = rpc_pb2.RangeRequest(key=b"a", serializable=True) if path == RANGE else b""
    if path == PUT:
        request = rpc_pb2.PutRequest(key=b"a")
    assert rig.answer(path, request, token="x") == status.TIMED_OUT
    if path == RANGE:
        assert rig.answer(path, request, token="u") == ALLOWED


def test_alarms_may_be_read_by_anybody() -> None:
    rig = GuardRig()
    disarm = rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.DEACTIVATE)
    assert rig.answer(ALARM, rpc_pb2.AlarmRequest()) == ALLOWED
    assert rig.answer(ALARM, disarm) == status.USER_EMPTY
    assert rig.answer(ALARM, b"\xff") == status.USER_EMPTY


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (
            status.NOT_PERMITTED,
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        ),
        (
            status.INVALID_TOKEN,
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
        (
            status.USER_EMPTY,
            "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
        ),
    ],
    ids=["denied", "invalid", "nobody"],
)
def test_watch_is_told_as_a_go_client_says_it(refused: Status, text: str) -> None:
    assert reason(refused) == text
