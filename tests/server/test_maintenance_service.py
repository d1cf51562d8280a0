"""Alarm, Hash, Defragment, MoveLeader, Downgrade."""

from typing import Any

import pytest

from raftwerk.api import rpc_pb2, status
from raftwerk.kv.commands import AlarmKind, Compact, Put, encode
from raftwerk.replica.failure import Failure
from raftwerk.runtime.members import MemberInfo
from raftwerk.server.alarms import Alarms
from raftwerk.server.cluster_services import ClusterServices
from raftwerk.server.maintenance_service import MaintenanceService
from raftwerk.server.slices import REMOVED_ROWS, Slices
from tests.server import fakes
from tests.server.fakes import CLUSTER_ID, NODE_ID, TERM, FakeLoop, FakeNode

PATH = "/etcdserverpb.Maintenance/"
GET, ACTIVATE, DEACTIVATE = (
    rpc_pb2.AlarmRequest.GET,
    rpc_pb2.AlarmRequest.ACTIVATE,
    rpc_pb2.AlarmRequest.DEACTIVATE,
)
NONE, NOSPACE, CORRUPT = rpc_pb2.NONE, rpc_pb2.NOSPACE, rpc_pb2.CORRUPT


class WithAnotherVoter(FakeNode):
    def members(self) -> list[MemberInfo]:
        another = MemberInfo(NODE_ID + 2, "node3", ("http://p3",), ("http://c3",), False)
        return [*super().members(), another]


class Rig(fakes.Rig):
    def __init__(self, of: type[Slices] = Slices, node: type[FakeNode] = FakeNode) -> None:
        loop = FakeLoop()
        self.node = node(loop)
        slices = of(loop)
        alarms = Alarms(self.node, loop)
        service = MaintenanceService(self.node, loop, slices, alarms)
        others = ClusterServices(self.node, loop, slices, alarms.members)
        super().__init__(loop, service.methods(), others.methods())

    def alarm(self, **request: Any) -> list[tuple[int, int]]:
        outcome = self.call(PATH + "Alarm", rpc_pb2.AlarmRequest(**request))
        assert outcome.status == status.OK, outcome.text
        response = rpc_pb2.AlarmResponse.FromString(outcome.message)
        return [(one.memberID, one.alarm) for one in response.alarms]

    def downgrade(self, **request: Any) -> fakes.Outcome:
        return self.call(PATH + "Downgrade", rpc_pb2.DowngradeRequest(**request))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_alarm_is_raised_listed_and_ended(rig: Rig) -> None:
    assert rig.alarm() == []
    assert rig.alarm(action=ACTIVATE, memberID=5, alarm=NOSPACE) == [(5, NOSPACE)]
    assert rig.alarm() == [(5, NOSPACE)]
    assert rig.node.machine.alarms.raised == {(AlarmKind.NO_SPACE, 5)}
    assert rig.alarm(action=DEACTIVATE, memberID=5, alarm=NOSPACE) == [(5, NOSPACE)]
    assert rig.alarm() == []


@pytest.mark.parametrize(
    ("kind", "listed"),
    [(NONE, [(5, NOSPACE), (6, CORRUPT)]), (NOSPACE, [(5, NOSPACE)]), (CORRUPT, [(6, CORRUPT)])],
)
def test_alarms_are_listed_by_kind(rig: Rig, kind: int, listed: list[tuple[int, int]]) -> None:
    rig.alarm(action=ACTIVATE, memberID=5, alarm=NOSPACE)
    rig.alarm(action=ACTIVATE, memberID=6, alarm=CORRUPT)
    assert rig.alarm(alarm=kind) == listed


@pytest.mark.parametrize(
    "request_", [{"action": ACTIVATE}, {"action": DEACTIVATE, "memberID": 5, "alarm": CORRUPT}]
)
def test_alarm_that_is_none_is_no_error(rig: Rig, request_: dict[str, Any]) -> None:
    assert rig.alarm(**request_) == []
    assert rig.node.machine.alarms.raised == frozenset()


@pytest.mark.parametrize("action", [GET, ACTIVATE])
def test_alarm_fails_without_the_log(rig: Rig, action: int) -> None:
    rig.node.failure = Failure.NO_LEADER
    request = rpc_pb2.AlarmRequest(action=action, alarm=NOSPACE)  # type: ignore[arg-type]
    outcome = rig.call(PATH + "Alarm", request)
    assert (outcome.status, outcome.text) == status.NO_LEADER


def test_header_says_whose_answer_it_is(rig: Rig) -> None:
    rig.node.apply(encode(Put(b"a")))
    outcome = rig.call(PATH + "Alarm", rpc_pb2.AlarmRequest())
    header = rpc_pb2.AlarmResponse.FromString(outcome.message).header
    assert header == rpc_pb2.ResponseHeader(
        cluster_id=CLUSTER_ID, member_id=NODE_ID, revision=2, raft_term=TERM
    )


def test_hash_is_that_of_all_versions(rig: Rig) -> None:
    rig.node.apply(encode(Put(b"a", b"1")))
    outcome = rig.call(PATH + "Hash", rpc_pb2.HashRequest())
    found = rpc_pb2.HashResponse.FromString(outcome.message)
    other = rig.call(PATH + "HashKV", rpc_pb2.HashKVRequest())
    assert found.hash == rpc_pb2.HashKVResponse.FromString(other.message).hash
    assert found.header.revision == 2


def test_defragment_answers_as_etcds(rig: Rig) -> None:
    pending = rig.start(PATH + "Defragment", rpc_pb2.DefragmentRequest())
    rig.advance(fakes.CHECKPOINT_S)
    assert pending.outcome is not None
    assert (pending.outcome.status, pending.outcome.message) == (status.OK, b"")


def test_defragment_is_answered_when_what_was_compacted_is_free(rig: Rig) -> None:
    """It is removed for that: by the ticks alone, etcdctl's five seconds were over with 50,000 old versions."""
    for number in range(3 * REMOVED_ROWS):
        rig.node.apply(encode(Put(b"a", b"%d" % number)))
    rig.node.apply(encode(Compact(rig.node.machine.revision)))
    pending = rig.start(PATH + "Defragment", rpc_pb2.DefragmentRequest())
    assert rig.node.machine.has_garbage, "in slices"
    rig.advance(fakes.CHECKPOINT_S)
    assert pending.outcome is not None
    assert pending.outcome.status == status.OK
    assert not rig.node.machine.has_garbage
    assert rig.node.machine.pending_bytes == 0


def test_nothing_is_removed_while_the_disk_is_full(rig: Rig) -> None:
    """The removals would wait in memory, 76 bytes each: three and a half million of them end a member."""
    for number in range(3 * REMOVED_ROWS):
        rig.node.apply(encode(Put(b"a", b"%d" % number)))
    rig.node.apply(encode(Compact(rig.node.machine.revision)))
    rig.node.is_disk_full = True
    pending_bytes = rig.node.machine.pending_bytes
    pending = rig.start(PATH + "Defragment", rpc_pb2.DefragmentRequest())
    assert rig.node.machine.pending_bytes == pending_bytes
    rig.advance(fakes.CHECKPOINT_S)
    assert pending.outcome is not None
    assert pending.outcome.status == status.OK
    assert rig.node.machine.has_garbage


def move(rig: Rig, target: int) -> fakes.Outcome:
    return rig.call(PATH + "MoveLeader", rpc_pb2.MoveLeaderRequest(targetID=target))


def test_follower_moves_no_leader(rig: Rig) -> None:
    rig.node.has_leader = False
    outcome = move(rig, NODE_ID)
    assert (outcome.status, outcome.text) == status.NOT_LEADER


@pytest.mark.parametrize("target", [99, NODE_ID + 1], ids=["stranger", "learner"])
def test_leadership_goes_to_voters_only(rig: Rig, target: int) -> None:
    outcome = move(rig, target)
    assert (outcome.status, outcome.text) == status.BAD_TRANSFEREE


def test_leadership_cannot_be_moved_yet_and_that_is_said_in_our_name() -> None:
    outcome = move(Rig(node=WithAnotherVoter), NODE_ID + 2)
    assert outcome.status == status.UNIMPLEMENTED
    assert outcome.text.startswith("raftwerk: leadership cannot be moved")


def test_leadership_stays_where_it_is(rig: Rig) -> None:
    assert move(rig, NODE_ID).status == status.OK


@pytest.mark.parametrize("version", ["3.4", "3.4.0", "3.4.27", "3.4.0-rc.1"])
def test_downgrade_by_one_minor_version_is_possible(rig: Rig, version: str) -> None:
    outcome = rig.downgrade(version=version)
    assert outcome.status == status.OK
    assert rpc_pb2.DowngradeResponse.FromString(outcome.message).version == "3.5.0"


ENABLE, CANCEL = rpc_pb2.DowngradeRequest.ENABLE, rpc_pb2.DowngradeRequest.CANCEL


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        ({"version": ""}, status.WRONG_DOWNGRADE_VERSION),
        ({"version": "three"}, status.WRONG_DOWNGRADE_VERSION),
        ({"version": "3"}, status.WRONG_DOWNGRADE_VERSION),
        ({"version": "3.3.0"}, status.INVALID_DOWNGRADE_VERSION),
        ({"version": "3.5.0"}, status.INVALID_DOWNGRADE_VERSION),
        ({"version": "2.4.0"}, status.INVALID_DOWNGRADE_VERSION),
        ({"action": ENABLE, "version": "3.3.0"}, status.INVALID_DOWNGRADE_VERSION),
        ({"action": CANCEL}, status.NO_DOWNGRADE),
        ({"action": 7}, status.UNKNOWN_METHOD),
    ],
)
def test_other_downgrades_are_refused(
    rig: Rig, request_: dict[str, Any], refusal: status.Status
) -> None:
    outcome = rig.downgrade(**request_)
    assert (outcome.status, outcome.text) == refusal


def test_downgrade_is_only_validated(rig: Rig) -> None:
    outcome = rig.downgrade(action=ENABLE, version="3.4.0")
    assert outcome.status == status.UNIMPLEMENTED
    assert outcome.text.startswith("raftwerk: ")  # in its own name: etcd says no such thing


def test_hash_is_refused_when_too_many_reads_wait() -> None:
    outcome = Rig(fakes.Overloaded).call(PATH + "Hash", rpc_pb2.HashRequest())
    assert (outcome.status, outcome.text) == status.TOO_MANY_REQUESTS
