"""etcdserverpb.KV over a connection in memory: what is proposed, what is read, what is answered, and when."""

from dataclasses import replace

import pytest

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    CompactionRequest,
    CompactionResponse,
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from raftwerk.kv.commands import Put, RangeQuery, encode
from raftwerk.kv.read import RangeScan
from raftwerk.replica.failure import Failure
from raftwerk.runtime.settings import Settings
from tests.server.fakes import CLUSTER_ID, NODE_ID, TERM
from tests.server.kv_rig import COMPACT, DELETE, EVERYTHING, PUT, RANGE, TXN, KvRig

PUT_A = RequestOp(request_put=PutRequest(key=b"a"))


@pytest.fixture
def rig() -> KvRig:
    return KvRig()


def test_put_is_answered_with_its_revision(rig: KvRig) -> None:
    response = PutResponse.FromString(rig.call(PUT, PutRequest(key=b"a", value=b"1")).message)
    header = response.header
    assert (header.cluster_id, header.member_id, header.revision, header.raft_term) == (
        CLUSTER_ID,
        NODE_ID,
        2,
        TERM,
    )
    assert rig.node.machine.revision == 2


def test_put_gives_the_previous_value(rig: KvRig) -> None:
    rig.call(PUT, PutRequest(key=b"a", value=b"1"))
    request = PutRequest(key=b"a", value=b"2", prev_kv=True)
    assert PutResponse.FromString(rig.call(PUT, request).message).prev_kv.value == b"1"


def test_range_reads_what_was_put(rig: KvRig) -> None:
    rig.call(PUT, PutRequest(key=b"a", value=b"1"))
    response = RangeResponse.FromString(rig.call(RANGE, RangeRequest(key=b"a")).message)
    assert (response.count, response.kvs[0].value, response.header.revision) == (1, b"1", 2)


def test_delete_tells_the_count(rig: KvRig) -> None:
    rig.fill(3)
    request = DeleteRangeRequest(key=b"k", range_end=b"l", prev_kv=True)
    response = DeleteRangeResponse.FromString(rig.call(DELETE, request).message)
    assert (response.deleted, len(response.prev_kvs)) == (3, 3)


def test_txn_runs_its_branch(rig: KvRig) -> None:
    compare = Compare(key=b"a", target=Compare.VERSION, version=0)
    request = TxnRequest(compare=[compare], success=[PUT_A])
    outcomes = [TxnResponse.FromString(rig.call(TXN, request).message) for _ in range(2)]
    assert [outcome.succeeded for outcome in outcomes] == [True, False]
    assert [outcome.header.revision for outcome in outcomes] == [2, 2]


def test_txn_answers_each_operation_in_its_place(rig: KvRig) -> None:
    """With the revision, and with the previous value for whom asked."""
    again = RequestOp(request_put=PutRequest(key=b"b", value=b"2", prev_kv=True))
    read = RequestOp(request_range=RangeRequest(key=b"a"))
    delete = RequestOp(request_delete_range=DeleteRangeRequest(key=b"c"))
    nested = RequestOp(
        request_txn=TxnRequest(success=[RequestOp(request_put=PutRequest(key=b"d"))])
    )
    for revision in (2, 3):
        request = TxnRequest(success=[PUT_A, read, again, nested, delete])
        answer = TxnResponse.FromString(rig.call(TXN, request).message)
        kinds = [one.WhichOneof("response") for one in answer.responses]
        assert kinds == [
            "response_" + kind for kind in ("put", "range", "put", "txn", "delete_range")
        ]
        first, read_, second, inner, _ = answer.responses
        assert first.response_put.header.revision == revision
        assert not first.response_put.HasField("prev_kv")
        assert read_.response_range.kvs[0].mod_revision == revision
        assert second.response_put.prev_kv.mod_revision == (2 if revision == 3 else 0)
        put = inner.response_txn.responses[0].response_put
        assert put.header.revision == revision


@pytest.mark.parametrize(
    ("path", "request_", "expected"),
    [
        (PUT, PutRequest(), status.EMPTY_KEY),
        (PUT, PutRequest(key=b"a", lease=1), status.LEASE_NOT_FOUND),
        (PUT, PutRequest(key=b"a", ignore_value=True), status.KEY_NOT_FOUND),
        (RANGE, RangeRequest(), status.EMPTY_KEY),
        (RANGE, RangeRequest(key=b"a", revision=9), status.FUTURE_REVISION),
        (RANGE, RangeRequest(key=b"a", range_end=b"b", revision=9), status.FUTURE_REVISION),
        (DELETE, DeleteRangeRequest(), status.EMPTY_KEY),
        (TXN, TxnRequest(success=[PUT_A, PUT_A]), status.DUPLICATE_KEY),
        (TXN, TxnRequest(compare=[Compare(key=b"a", target=7)]), status.UNKNOWN_COMPARE),
        (COMPACT, CompactionRequest(revision=9), status.FUTURE_REVISION),
        (COMPACT, CompactionRequest(revision=-1), status.COMPACTED),
    ],
)
def test_bad_request_is_refused(
    rig: KvRig,
    path: str,
    request_: PutRequest | RangeRequest | DeleteRangeRequest | TxnRequest | CompactionRequest,
    expected: status.Status,
) -> None:
    assert rig.call(path, request_)[:2] == expected
    assert rig.node.machine.revision == 1


WRITES = {
    "put": (PUT, PutRequest(key=b"a")),
    "delete": (DELETE, DeleteRangeRequest(key=b"a")),
    "txn": (TXN, TxnRequest(success=[PUT_A])),
    "compact": (COMPACT, CompactionRequest(revision=1)),
}
READS = {
    "range": (RANGE, RangeRequest(key=b"a")),
    "ranges": (RANGE, EVERYTHING),
    "txn": (TXN, TxnRequest(success=[RequestOp(request_range=RangeRequest(key=b"a"))])),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("failure", Failure)
def test_failed_write_is_refused_with_the_failures_status(
    rig: KvRig, name: str, failure: Failure
) -> None:
    rig.node.failure = failure
    path, request = WRITES[name]
    outcome = rig.call(path, request)
    assert outcome.status in (status.UNAVAILABLE, status.RESOURCE_EXHAUSTED)
    assert outcome.text.startswith("etcdserver: ")


@pytest.mark.parametrize("name", READS)
def test_linearizable_read_waits_for_the_barrier(rig: KvRig, name: str) -> None:
    """And sees what was written before the barrier came."""
    rig.node.is_stuck = True
    path, request = READS[name]
    call = rig.start(path, request)
    rig.advance(1)
    assert call.outcome is None
    rig.node.apply(encode(Put(b"a", b"1")))
    rig.node.release()
    rig.pump()
    assert call.outcome is not None
    assert b"a" in call.outcome.message


def test_serializable_range_is_answered_at_once(rig: KvRig) -> None:
    rig.node.is_stuck = True
    rig.fill(1)
    request = RangeRequest(key=b"k000000", serializable=True)
    assert RangeResponse.FromString(rig.call(RANGE, request).message).count == 1


def test_serializable_txn_is_answered_at_once(rig: KvRig) -> None:
    rig.node.is_stuck = True
    operation = RequestOp(request_range=RangeRequest(key=b"a", serializable=True))
    assert rig.call(TXN, TxnRequest(success=[operation])).status == status.OK


def test_read_only_txn_is_not_proposed(rig: KvRig) -> None:
    path, request = READS["txn"]
    assert rig.call(path, request).status == status.OK
    assert rig.node.commands == []


@pytest.mark.parametrize(
    ("value_bytes", "code"),
    [(900, status.OK), (1025, status.INVALID_ARGUMENT)],
    ids=["below", "above"],
)
def test_request_above_the_limit_is_too_large(value_bytes: int, code: int) -> None:
    rig = KvRig(replace(Settings(), max_request_bytes=1024))
    outcome = rig.call(PUT, PutRequest(key=b"a", value=b"x" * value_bytes))
    assert outcome.status == code
    assert outcome.text == ("" if code == status.OK else "etcdserver: request is too large")
    assert len(rig.node.commands) == (code == status.OK)


NESTED_PUT = RequestOp(request_txn=TxnRequest(failure=[PUT_A]))


@pytest.mark.parametrize(
    ("path", "request_", "is_refused"),
    [
        (PUT, PutRequest(key=b"a"), True),
        (TXN, TxnRequest(success=[PUT_A]), True),
        (TXN, TxnRequest(failure=[NESTED_PUT]), True),
        (TXN, TxnRequest(success=[RequestOp(request_delete_range={"key": b"a"})]), False),
        (TXN, TxnRequest(success=[RequestOp(request_range={"key": b"a"})]), False),
        (DELETE, DeleteRangeRequest(key=b"a"), False),
        (COMPACT, CompactionRequest(revision=1), False),
        (RANGE, RangeRequest(key=b"a"), False),
    ],
    ids=["put", "txn", "nested", "txn_delete", "txn_read", "delete", "compact", "range"],
)
def test_store_over_its_quota_takes_what_makes_room(
    rig: KvRig,
    path: str,
    request_: PutRequest | RangeRequest | DeleteRangeRequest | TxnRequest | CompactionRequest,
    is_refused: bool,
) -> None:
    rig.is_over_quota = True
    expected = status.NO_SPACE if is_refused else (status.OK, "")
    assert rig.call(path, request_)[:2] == expected


def test_compaction_is_answered_when_it_is_committed(rig: KvRig) -> None:
    rig.fill(3)
    outcome = rig.call(COMPACT, CompactionRequest(revision=4))
    assert CompactionResponse.FromString(outcome.message).header.revision == 4
    assert rig.call(RANGE, RangeRequest(key=b"k000000", revision=3))[:2] == status.COMPACTED


def test_physical_compaction_is_answered_when_the_rows_are_gone(rig: KvRig) -> None:
    """It has them removed, but for those that somebody still reads."""
    rig.fill(3)
    scan = rig.node.machine.range_sliced(RangeQuery(b"k", b"l", revision=2))
    assert isinstance(scan, RangeScan)
    call = rig.start(COMPACT, CompactionRequest(revision=4, physical=True))
    rig.advance(0.1)
    assert call.outcome is None
    scan.close()
    while rig.node.machine.maintain(1):
        pass
    rig.advance(0.1)
    assert call.outcome is not None
    assert call.outcome.status == status.OK


def test_physical_compaction_does_not_wait_for_the_clock(rig: KvRig) -> None:
    rig.fill(3)
    assert rig.call(COMPACT, CompactionRequest(revision=4, physical=True)).status == status.OK
    assert rig.node.machine.removed_revision == 4


def test_physical_compaction_that_was_cancelled_is_forgotten(rig: KvRig) -> None:
    rig.fill(3)
    assert isinstance(rig.node.machine.range_sliced(RangeQuery(b"k", b"l", revision=2)), RangeScan)
    call = rig.start(COMPACT, CompactionRequest(revision=4, physical=True))
    rig.loop.settle()
    assert rig.loop.timers == 1
    call.client_call.cancel()
    rig.pump()
    rig.advance(0.1)
    assert rig.loop.timers == 0


@pytest.mark.parametrize("path", [RANGE, PUT, DELETE, TXN, COMPACT])
def test_unreadable_request_is_refused(rig: KvRig, path: str) -> None:
    assert rig.call(path, b"\xff\xff").status == status.INTERNAL
    assert rig.node.commands == []
