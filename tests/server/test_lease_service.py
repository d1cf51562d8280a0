"""etcdserverpb.Lease over a connection in memory. That etcd answers the same is tested in tests/interop/test_lease.py."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf.message import Message

from raftwerk.api import status
from raftwerk.api.lease_pb2 import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
)
from raftwerk.http2.headers import literal
from raftwerk.kv.commands import DeleteRange, LeaseGrant, LeaseRenew, LeaseRevoke, Put, encode
from raftwerk.kv.store import Store
from raftwerk.replica.failure import Failure
from raftwerk.runtime.settings import Settings
from raftwerk.server.lease_service import SLICE_KEYS, SLICE_LEASES, LeaseService, ttl_s_min
from raftwerk.server.slices import Slices
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete
from tests.server.fakes import (
    CLUSTER_ID,
    NODE_ID,
    TERM,
    FakeLoop,
    FakeNode,
    Overloaded,
    PendingCall,
    Rig,
)

GRANT = "/etcdserverpb.Lease/LeaseGrant"
REVOKE = "/etcdserverpb.Lease/LeaseRevoke"
KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"
TTL = "/etcdserverpb.Lease/LeaseTimeToLive"
LEASES = "/etcdserverpb.Lease/LeaseLeases"
A = 77


class LeaseRig(Rig):
    """The service, its node and its quota."""

    def __init__(self, slices: type[Slices] = Slices, store: Store | None = None) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop, store=store)
        self.is_over_quota = False
        self.service = LeaseService(self.node, loop, slices(loop), lambda: self.is_over_quota)
        super().__init__(loop, self.service.methods())

    def grant(self, lease_id: int = A, ttl_s: int = 60, keys: Sequence[bytes] = ()) -> None:
        self.node.apply(encode(LeaseGrant(lease_id, ttl_s)))
        for key in keys:
            self.node.apply(encode(Put(key, lease=lease_id)))

    def refusal(self, path: str, request: Message) -> tuple[int, str]:
        outcome = self.call(path, request)
        return outcome.status, outcome.text

    def time_to_live(self, lease_id: int = A, *, keys: bool = False) -> LeaseTimeToLiveResponse:
        request = LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
        return LeaseTimeToLiveResponse.FromString(self.call(TTL, request).message)

    def stream(self) -> PendingCall:
        """Of renewals."""
        call = PendingCall()
        call.client_call = self._client.open(KEEP_ALIVE, call.done, call.messages.append)
        return call

    def renew(self, stream: PendingCall, lease_id: int = A) -> None:
        stream.client_call.send(LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        self.pump()
        self.loop.settle()
        self.pump()


def answers(stream: PendingCall) -> list[tuple[int, int]]:
    """(id, TTL) of each."""
    responses = [LeaseKeepAliveResponse.FromString(data) for data in stream.messages]
    return [(response.ID, response.TTL) for response in responses]


@pytest.fixture
def rig() -> LeaseRig:
    return LeaseRig()


# LeaseGrant, LeaseRevoke


def test_grant_answers_with_id_and_ttl(rig: LeaseRig) -> None:
    outcome = rig.call(GRANT, LeaseGrantRequest(ID=A, TTL=60))
    response = LeaseGrantResponse.FromString(outcome.message)
    header = response.header
    assert (response.ID, response.TTL, response.error) == (A, 60, "")
    assert (header.cluster_id, header.member_id, header.revision, header.raft_term) == (
        CLUSTER_ID,
        NODE_ID,
        1,
        TERM,
    )


def test_grant_without_id_picks_a_positive_one(rig: LeaseRig) -> None:
    ids = {
        LeaseGrantResponse.FromString(rig.call(GRANT, LeaseGrantRequest(TTL=60)).message).ID
        for _ in range(20)
    }
    assert len(ids) == 20
    assert all(0 < lease_id < 2**63 for lease_id in ids)
    assert {lease_id for lease_id, _ in rig.node.machine.leases.some(None, 10_000)[0]} == ids


@pytest.mark.parametrize("ttl_s", [-5, 0, 1])
def test_short_ttl_is_raised(rig: LeaseRig, ttl_s: int) -> None:
    outcome = rig.call(GRANT, LeaseGrantRequest(ID=A, TTL=ttl_s))
    assert LeaseGrantResponse.FromString(outcome.message).TTL == 2


@pytest.mark.parametrize(
    ("heartbeat_ms", "election_ms", "ttl_s"),
    [(100, 1000, 2), (50, 400, 1), (100, 10_000, 15), (90, 1000, 2), (1, 5, 1)],
)
def test_least_ttl_is_one_and_a_half_election_timeouts(
    heartbeat_ms: int, election_ms: int, ttl_s: int
) -> None:
    settings = Settings(heartbeat_interval_ms=heartbeat_ms, election_timeout_ms=election_ms)
    assert ttl_s_min(settings) == ttl_s


def test_refusals_have_etcds_words(rig: LeaseRig) -> None:
    rig.grant()
    assert rig.refusal(GRANT, LeaseGrantRequest(ID=A, TTL=5)) == status.LEASE_EXISTS
    assert rig.refusal(GRANT, LeaseGrantRequest(TTL=9 * 10**9 + 1)) == status.LEASE_TTL_TOO_LARGE
    assert rig.refusal(REVOKE, LeaseRevokeRequest(ID=5)) == status.LEASE_NOT_FOUND


def test_no_lease_is_granted_without_space(rig: LeaseRig) -> None:
    """But one can still be revoked."""
    rig.grant()
    rig.is_over_quota = True
    assert rig.refusal(GRANT, LeaseGrantRequest(TTL=5)) == status.NO_SPACE
    assert rig.call(REVOKE, LeaseRevokeRequest(ID=A)).status == status.OK


def test_revoke_answers_with_the_revision_of_the_deletion(rig: LeaseRig) -> None:
    rig.grant(keys=[b"a", b"b"])
    response = LeaseRevokeResponse.FromString(rig.call(REVOKE, LeaseRevokeRequest(ID=A)).message)
    assert response.header.revision == rig.node.machine.revision == 4


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("path", [GRANT, REVOKE, TTL])
def test_failure_of_the_node_ends_the_call(rig: LeaseRig, path: str, failure: Failure) -> None:
    rig.node.failure = failure
    assert rig.call(path, LeaseGrantRequest(TTL=5)).status != status.OK


# LeaseKeepAlive


def test_each_message_renews_through_the_log(rig: LeaseRig) -> None:
    rig.grant(A, 60)
    rig.grant(-3, 5)
    stream = rig.stream()
    for lease_id in (A, -3, A):
        rig.renew(stream, lease_id)
    assert rig.node.commands == [encode(LeaseRenew(one)) for one in (A, -3, A)]
    assert answers(stream) == [(A, 60), (-3, 5), (A, 60)]
    assert stream.outcome is None


def test_renewal_gives_the_time_back(rig: LeaseRig) -> None:
    rig.grant(A, 60)
    rig.advance(20)
    assert rig.time_to_live().TTL == 40
    rig.renew(rig.stream())
    assert rig.time_to_live().TTL == 60


def test_renewal_of_no_lease_is_no_error(rig: LeaseRig) -> None:
    stream = rig.stream()
    rig.renew(stream, 5)
    assert answers(stream) == [(5, 0)]
    assert stream.outcome is None


def test_stream_ends_when_the_client_has_no_more(rig: LeaseRig) -> None:
    """Not before its renewals are answered."""
    rig.grant()
    stream = rig.stream()
    rig.node.is_stuck = True
    rig.renew(stream)
    stream.client_call.half_close()
    rig.pump()
    assert stream.outcome is None
    rig.node.release()
    rig.pump()
    assert answers(stream) == [(A, 60)]
    assert stream.outcome is not None
    assert stream.outcome.status == status.OK
    assert rig.open_calls == 0


def test_stream_ends_with_a_failure(rig: LeaseRig) -> None:
    stream = rig.stream()
    rig.node.failure = Failure.NO_LEADER
    rig.renew(stream)
    assert stream.outcome is not None
    assert (stream.outcome.status, stream.outcome.text) == status.NO_LEADER


def test_stream_that_wants_a_leader_is_refused_without_one(rig: LeaseRig) -> None:
    rig.node.has_leader = False
    call = PendingCall()
    metadata = literal(b"hasleader", b"true")
    call.client_call = rig._client.open(KEEP_ALIVE, call.done, metadata=metadata, on_message=print)
    rig.pump()
    assert call.outcome is not None
    assert (call.outcome.status, call.outcome.text) == status.NO_LEADER


def test_streams_end_with_the_member(rig: LeaseRig) -> None:
    """Their clients go on elsewhere, at once."""
    stream = rig.stream()
    rig.renew(stream)
    rig.service.stop()
    rig.pump()
    assert stream.outcome is not None
    assert (stream.outcome.status, stream.outcome.text) == status.STOPPED
    assert rig.open_calls == 0


def test_stream_ends_with_its_deadline(rig: LeaseRig) -> None:
    call = PendingCall()
    metadata = literal(b"grpc-timeout", b"5S")
    call.client_call = rig._client.open(KEEP_ALIVE, call.done, metadata=metadata, on_message=print)
    rig.pump()
    rig.advance(5)
    assert call.outcome is not None
    assert (call.outcome.status, call.outcome.text) == status.DEADLINE
    assert rig.loop.timers == 0


def test_unreadable_message_ends_the_stream(rig: LeaseRig) -> None:
    stream = rig.stream()
    stream.client_call.send(b"\xff\xff")
    rig.pump()
    assert stream.outcome is not None
    assert stream.outcome.status == status.INTERNAL


def test_cancelled_stream_leaves_nothing(rig: LeaseRig) -> None:
    rig.grant()
    stream = rig.stream()
    rig.node.is_stuck = True
    rig.renew(stream)
    stream.client_call.cancel()
    rig.pump()
    rig.node.release()
    rig.pump()
    assert rig.open_calls == 0
    assert stream.messages == []


# LeaseTimeToLive, LeaseLeases


def test_time_to_live_says_what_is_left_in_whole_seconds(rig: LeaseRig) -> None:
    rig.grant(A, 60, keys=[b"b", b"a"])
    rig.advance(10.2)
    response = rig.time_to_live()
    assert (response.ID, response.TTL, response.grantedTTL) == (A, 49, 60)
    assert list(response.keys) == []
    assert response.header.revision == 3
    assert list(rig.time_to_live(keys=True).keys) == [b"a", b"b"]


def test_time_to_live_is_never_below_zero_while_the_lease_is_there(rig: LeaseRig) -> None:
    rig.grant(A, 2)
    rig.advance(10)
    assert rig.time_to_live().TTL == 0


def test_time_to_live_of_no_lease_is_minus_one(rig: LeaseRig) -> None:
    response = rig.time_to_live(5, keys=True)
    assert (response.ID, response.TTL, response.grantedTTL) == (5, -1, 0)


def test_many_keys_of_a_lease_are_read_in_slices(rig: LeaseRig) -> None:
    keys = [b"%06d" % number for number in range(2 * SLICE_KEYS + 1)]
    rig.grant(keys=keys)
    turns = rig.loop.turns
    assert list(rig.time_to_live(keys=True).keys) == keys
    assert rig.loop.turns - turns >= 3


def test_what_has_just_gone_hides_nothing_behind_it(tmp_path: Path) -> None:
    """Slices of keys that were detached, and of leases that ended, are empty, and not the last."""
    store = LmdbStore(tmp_path)
    rig = LeaseRig(store=store)
    rig.grant(keys=[b"%06d" % number for number in range(2 * SLICE_KEYS)])
    others = range(A + 1, A + 2 * SLICE_LEASES)
    for lease_id in others:
        rig.grant(lease_id)
    complete(rig.node.machine.begin_checkpoint())
    rig.node.apply(encode(DeleteRange(b"0", b"1")))
    rig.node.apply(encode(Put(b"1", lease=A)))
    for lease_id in others[:-1]:
        rig.node.apply(encode(LeaseRevoke(lease_id)))
    assert list(rig.time_to_live(keys=True).keys) == [b"1"]
    response = LeaseLeasesResponse.FromString(rig.call(LEASES, LeaseLeasesRequest()).message)
    assert {lease.ID for lease in response.leases} == {A, others[-1]}
    store.close()


@pytest.mark.parametrize("slices", [1, 9])
@pytest.mark.parametrize("turns", range(4))
def test_lease_that_ends_while_its_keys_are_read_has_all_of_them_or_is_gone(
    rig: LeaseRig, turns: int, slices: int
) -> None:
    keys = [b"%06d" % number for number in range(2 * SLICE_KEYS)]
    rig.grant(keys=keys)

    def end(turns: int) -> None:
        if turns:
            rig.loop.call_soon(end, turns - 1)
        else:
            steps = rig.node.machine.apply([encode(LeaseRevoke(A))], 99, b"later")
            for _, _ in zip(range(slices - 1), steps, strict=False):
                pass

    rig.loop.call_soon(end, turns)
    response = rig.time_to_live(keys=True)
    found = (response.grantedTTL, list(response.keys))
    assert found == ((0, []) if response.TTL < 0 else (60, keys))
    assert rig.time_to_live(keys=True).TTL == -1, "it did end"


def test_leases_are_listed_by_the_time_that_is_left(rig: LeaseRig) -> None:
    for lease_id, ttl_s in ((1, 30), (2, 10), (3, 20)):
        rig.grant(lease_id, ttl_s)
    response = LeaseLeasesResponse.FromString(rig.call(LEASES, LeaseLeasesRequest()).message)
    assert [lease.ID for lease in response.leases] == [2, 3, 1]
    assert response.header.revision == 1


def test_many_leases_are_listed_in_slices(rig: LeaseRig) -> None:
    count = 2 * SLICE_LEASES + 1
    for lease_id in range(1, count + 1):
        rig.grant(lease_id, count - lease_id + 10)
    turns = rig.loop.turns
    response = LeaseLeasesResponse.FromString(rig.call(LEASES, LeaseLeasesRequest()).message)
    assert [lease.ID for lease in response.leases] == list(range(count, 0, -1))
    assert rig.loop.turns - turns >= 4


def test_no_lease_is_an_empty_list(rig: LeaseRig) -> None:
    response = LeaseLeasesResponse.FromString(rig.call(LEASES, LeaseLeasesRequest()).message)
    assert list(response.leases) == []


def test_lists_are_refused_when_too_many_reads_wait() -> None:
    """What is short is not."""
    rig = LeaseRig(Overloaded)
    rig.grant()
    assert rig.refusal(LEASES, LeaseLeasesRequest()) == status.TOO_MANY_REQUESTS
    assert rig.refusal(TTL, LeaseTimeToLiveRequest(ID=A, keys=True)) == status.TOO_MANY_REQUESTS
    assert rig.time_to_live().grantedTTL == 60
