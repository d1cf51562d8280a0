"""Member list, status, alarms and hash over a connection in memory."""

import pytest

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    NOSPACE,
    AlarmMember,
    HashKVRequest,
    HashKVResponse,
    MemberListRequest,
    MemberListResponse,
    StatusRequest,
    StatusResponse,
)
from raftwerk.kv.commands import Compact, DeleteRange, Put, encode
from raftwerk.server.cluster_services import ETCD_VERSION, ClusterServices
from raftwerk.server.slices import Slices
from tests.server.fakes import CLUSTER_ID, NODE_ID, TERM, FakeLoop, FakeNode, Overloaded, Rig

MEMBER_LIST = "/etcdserverpb.Cluster/MemberList"
STATUS = "/etcdserverpb.Maintenance/Status"
HASH_KV = "/etcdserverpb.Maintenance/HashKV"


class ClusterRig(Rig):
    """The services and their node."""

    def __init__(self, slices: type[Slices] = Slices) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop)
        self.alarms: list[AlarmMember] = []
        services = ClusterServices(self.node, loop, slices(loop), lambda: self.alarms)
        super().__init__(loop, services.methods())

    def hash(self, revision: int = 0) -> HashKVResponse:
        outcome = self.call(HASH_KV, HashKVRequest(revision=revision))
        assert outcome.status == status.OK, outcome.text
        return HashKVResponse.FromString(outcome.message)


@pytest.fixture
def rig() -> ClusterRig:
    return ClusterRig()


@pytest.mark.parametrize("linearizable", [True, False])
def test_members_are_listed(rig: ClusterRig, linearizable: bool) -> None:
    outcome = rig.call(MEMBER_LIST, MemberListRequest(linearizable=linearizable))
    response = MemberListResponse.FromString(outcome.message)
    assert [
        (one.ID, one.name, list(one.peerURLs), list(one.clientURLs), one.isLearner)
        for one in response.members
    ] == [
        (NODE_ID, "node1", ["http://p1"], ["http://c1"], False),
        (NODE_ID + 1, "", ["http://p2"], [], True),
    ]
    assert (response.header.member_id, response.header.revision) == (NODE_ID, 0)


def test_linearizable_member_list_waits_for_the_barrier(rig: ClusterRig) -> None:
    rig.node.is_stuck = True
    waiting = rig.start(MEMBER_LIST, MemberListRequest(linearizable=True))
    assert rig.call(MEMBER_LIST, MemberListRequest()).status == status.OK
    assert waiting.outcome is None
    rig.node.release()
    rig.pump()
    assert waiting.outcome is not None
    assert waiting.outcome.status == status.OK


def test_status_tells_of_this_member(rig: ClusterRig) -> None:
    response = StatusResponse.FromString(rig.call(STATUS, StatusRequest()).message)
    header = response.header
    assert (header.cluster_id, header.member_id, header.revision, header.raft_term) == (
        CLUSTER_ID,
        NODE_ID,
        1,
        TERM,
    )
    response.ClearField("header")
    assert response == StatusResponse(
        version=ETCD_VERSION,
        dbSize=8192,
        dbSizeInUse=4096,
        leader=NODE_ID,
        raftIndex=11,
        raftTerm=TERM,
        raftAppliedIndex=10,
    )


def test_version_is_semantic() -> None:
    """Clients choose features by it."""
    assert [part.isdigit() for part in ETCD_VERSION.split(".")] == [True] * 3


def test_status_without_leader_has_an_error(rig: ClusterRig) -> None:
    rig.node.has_leader = False
    response = StatusResponse.FromString(rig.call(STATUS, StatusRequest()).message)
    assert (response.leader, list(response.errors)) == (0, ["etcdserver: no leader"])


def test_alarms_are_errors_in_the_status(rig: ClusterRig) -> None:
    rig.alarms.append(AlarmMember(memberID=NODE_ID, alarm=NOSPACE))
    response = StatusResponse.FromString(rig.call(STATUS, StatusRequest()).message)
    assert list(response.errors) == [f"memberID:{NODE_ID} alarm:NOSPACE "]


def fill(rig: ClusterRig, count: int = 2000) -> None:
    for number in range(count):
        rig.node.apply(encode(Put(b"k%d" % (number % 50), b"%d" % number)))


def test_hash_names_its_revisions(rig: ClusterRig) -> None:
    fill(rig, 10)
    rig.node.apply(encode(Compact(5)))
    response = rig.hash(7)
    assert (response.hash_revision, response.compact_revision) == (7, 5)
    assert response.header.revision == 11


def test_hash_of_a_store_that_was_never_compacted_says_so(rig: ClusterRig) -> None:
    assert rig.hash().compact_revision == -1


def test_hash_depends_on_the_content(rig: ClusterRig) -> None:
    fill(rig, 10)
    before = rig.hash().hash
    rig.node.apply(encode(Put(b"k0", b"other")))
    assert rig.hash().hash != before
    assert rig.hash(11).hash == before


def test_hash_is_the_same_whatever_is_removed_so_far(rig: ClusterRig) -> None:
    fill(rig)
    rig.node.apply(encode(DeleteRange(b"k1", b"k2")))
    rig.node.apply(encode(Compact(1000)))
    before = rig.hash()
    while rig.node.machine.maintain(100):
        pass
    assert rig.hash().hash == before.hash


def test_hash_of_many_rows_is_made_in_slices(rig: ClusterRig) -> None:
    fill(rig)
    before = rig.loop.turns
    rig.hash()
    assert rig.loop.turns - before >= 2000 // 500 - 1


def test_hash_is_refused_when_too_many_reads_wait() -> None:
    outcome = ClusterRig(Overloaded).call(HASH_KV, HashKVRequest())
    assert (outcome.status, outcome.text) == status.TOO_MANY_REQUESTS


@pytest.mark.parametrize(
    ("revision", "expected"), [(99, status.FUTURE_REVISION), (3, status.COMPACTED)]
)
def test_hash_of_a_revision_that_is_not_there_is_refused(
    rig: ClusterRig, revision: int, expected: status.Status
) -> None:
    fill(rig, 10)
    rig.node.apply(encode(Compact(5)))
    assert rig.call(HASH_KV, HashKVRequest(revision=revision))[:2] == expected
