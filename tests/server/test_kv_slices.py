"""Ranges and read-only transactions of many keys: read in slices, of one revision, and only for who still waits."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import Message

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import (
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from raftwerk.api.status import Status
from raftwerk.http2.call import Call
from raftwerk.kv.commands import Compact, Put, encode
from raftwerk.kv.store import Table
from raftwerk.server.slices import ACTIVE_MAX, Reader, Slices, Steps
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete, read_all
from tests.server.fakes import SlowLoop
from tests.server.kv_rig import COMPACT, DELETE, EVERYTHING, PUT, RANGE, TXN, KvRig


@pytest.fixture
def rig() -> KvRig:
    return KvRig()


def test_big_range_is_read_in_slices(rig: KvRig) -> None:
    rig.fill(3000)
    before = rig.loop.turns
    response = RangeResponse.FromString(rig.call(RANGE, EVERYTHING).message)
    assert [kv.key for kv in response.kvs] == [b"k%06d" % number for number in range(3000)]
    assert rig.loop.turns - before >= 3000 // 200


@pytest.mark.parametrize(
    ("path", "request_"),
    [(RANGE, RangeRequest(key=b"k")), (PUT, PutRequest(key=b"k", prev_kv=True))],
    ids=["get", "replaced"],
)
def test_answers_with_a_value_that_come_together_are_made_in_several_turns(
    path: str, request_: Message
) -> None:
    """However many one step lets go."""
    rig = KvRig(loop=SlowLoop())
    rig.call(PUT, PutRequest(key=b"k", value=b"v"))
    calls = [rig.start(path, request_) for _ in range(10)]
    answered = []
    while rig.loop.turn():
        rig.pump()
        answered.append(sum(call.outcome is not None for call in calls))
    assert answered[0] < answered[-1] == 10


@pytest.mark.parametrize("serializable", [False, True])
def test_single_keys_of_a_transaction_that_reads_are_read_in_slices_if_they_are_large(
    rig: KvRig, serializable: bool
) -> None:
    keys = [b"k%d" % number for number in range(20)]
    for key in keys:
        rig.call(PUT, PutRequest(key=key, value=bytes(100_000)))
    reads = [
        RequestOp(request_range=RangeRequest(key=key, serializable=serializable)) for key in keys
    ]
    before = rig.loop.turns
    answer = TxnResponse.FromString(rig.call(TXN, TxnRequest(success=reads)).message)
    assert [one.response_range.kvs[0].key for one in answer.responses] == keys
    assert rig.loop.turns - before >= len(keys) // 10


@pytest.mark.parametrize("is_txn", [False, True], ids=["range", "txn"])
def test_answer_that_is_too_large_is_refused(*, is_txn: bool) -> None:
    """The connection would be closed for it, and the client would ask again."""
    rig = KvRig(answer_bytes_max=1_000_000)
    read = RequestOp(request_range=EVERYTHING)
    path, request = (TXN, TxnRequest(success=[read])) if is_txn else (RANGE, EVERYTHING)
    for number in range(9):
        rig.call(PUT, PutRequest(key=b"k%d" % number, value=bytes(100_000)))
    assert rig.call(path, request).status == status.OK
    for number in range(9, 12):
        rig.call(PUT, PutRequest(key=b"k%d" % number, value=bytes(100_000)))
    outcome = rig.call(path, request)
    assert (outcome.status, outcome.text) == status.ANSWER_TOO_LARGE


class CountingStore(MemoryStore):
    """Counts the rows that are looked at."""

    rows = 0

    def get(self, table: Table, key: bytes) -> bytes | None:
        self.rows += 1
        return super().get(table, key)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for row in super().scan(table, start, stop, reverse=reverse):
            self.rows += 1
            yield row


def all_twice(**options: Any) -> TxnRequest:
    """A read-only transaction that compares all keys and reads them in two ranges, one of them nested."""
    compare = Compare(
        key=b"\0", range_end=b"\0", target=Compare.VALUE, result=Compare.EQUAL, value=b"v"
    )
    read = RequestOp(request_range=RangeRequest(key=b"\0", range_end=b"\0", **options))
    return TxnRequest(
        compare=[compare], success=[read, RequestOp(request_txn=TxnRequest(success=[read]))]
    )


def both_of(response: TxnResponse) -> list[RangeResponse]:
    nested = response.responses[1].response_txn
    return [response.responses[0].response_range, nested.responses[0].response_range]


def test_no_slice_of_a_read_only_txn_looks_at_many_rows() -> None:
    store = CountingStore()
    rig = KvRig(store=store)
    rig.fill(3000)
    call = rig.start(TXN, all_twice())
    most = 0
    while call.outcome is None:
        store.rows = 0
        assert rig.loop.turn()
        rig.pump()
        most = max(most, store.rows)
    response = TxnResponse.FromString(call.outcome.message)
    assert [len(found.kvs) for found in both_of(response)] == [3000, 3000]
    assert 200 <= most <= 3 * 200


def test_read_only_txn_of_single_keys_is_answered_at_once(rig: KvRig) -> None:
    rig.fill(1)
    read = RequestOp(request_range=RangeRequest(key=b"k000000", serializable=True))
    before = rig.loop.turns
    rig.call(TXN, TxnRequest(success=[read] * 100))
    assert rig.loop.turns == before


def test_read_only_txn_of_single_keys_waits_for_no_long_read(rig: KvRig) -> None:
    rig.fill(1000)
    long_reads = [rig.start(RANGE, EVERYTHING) for _ in range(ACTIVE_MAX + 1)]
    rig.loop.turn()  # the barrier
    read = RequestOp(request_range=RangeRequest(key=b"k000000", serializable=True))
    short = rig.start(TXN, TxnRequest(success=[read]))
    rig.pump()
    assert short.outcome is not None
    assert short.outcome.status == status.OK
    assert not any(one.outcome for one in long_reads)
    rig.loop.settle()


class Breaking(Slices):
    """Every long answer breaks off in its second slice, every other one that waits for its turn at once."""

    def answer_soon(
        self, call: Call, answer: Callable[[], None], no_answer: Status = status.NO_ANSWER
    ) -> None:
        def broken() -> None:
            raise ValueError("a bug")

        super().answer_soon(call, broken, no_answer)

    def start(self, reader: Reader, steps: Steps) -> None:
        next(steps)
        with suppress(StopIteration):
            steps.throw(ValueError("a bug"))


def test_only_what_was_written_is_said_to_be_done_when_it_cannot_be_answered() -> None:
    rig = KvRig(slices=Breaking)
    rig.call(PUT, PutRequest(key=b"k", value=bytes(400_000)))
    reads = [RequestOp(request_range=RangeRequest(key=b"k"))] * 120
    write = RequestOp(request_put=PutRequest(key=b"k"))
    assert rig.call(TXN, TxnRequest(success=reads))[:2] == status.NO_ANSWER
    assert rig.call(TXN, TxnRequest(success=[*reads, write]))[:2] == status.DONE_NO_ANSWER
    put = PutRequest(key=b"k", value=bytes(400_000), prev_kv=True)
    assert rig.call(PUT, put)[:2] == status.DONE_NO_ANSWER
    rig.fill(5000)
    delete = DeleteRangeRequest(key=b"k", range_end=b"l", prev_kv=True)
    assert rig.call(DELETE, delete)[:2] == status.DONE_NO_ANSWER


def test_big_read_only_txn_is_of_one_revision(rig: KvRig) -> None:
    """Comparisons, too, however much is written and compacted meanwhile."""
    rig.fill(500)
    call = rig.start(TXN, all_twice())
    rig.loop.turn()
    while call.outcome is None:
        rig.node.apply(encode(Put(b"k000499", b"newer")))
        rig.node.apply(encode(Put(b"later%d" % rig.node.machine.revision, b"new")))
        rig.node.apply(encode(Compact(rig.node.machine.revision)))
        rig.node.machine.maintain(1000)
        rig.loop.turn()
        rig.pump()
    response = TxnResponse.FromString(call.outcome.message)
    assert (response.succeeded, response.header.revision) == (True, 501)
    for found in both_of(response):
        assert {kv.value for kv in found.kvs} == {b"v"}
        assert (found.count, found.header.revision) == (500, 501)


def test_cancelled_read_only_txn_holds_nothing_back(rig: KvRig) -> None:
    rig.fill(1000)
    call = rig.start(TXN, all_twice())
    rig.loop.turn()
    call.client_call.cancel()
    rig.pump()
    rig.loop.settle()
    rig.call(PUT, PutRequest(key=b"later"))
    rig.call(COMPACT, CompactionRequest(revision=1002))
    while rig.node.machine.maintain(1000):
        pass
    assert rig.node.machine.removed_revision == 1002


def test_read_only_txn_of_a_range_is_refused_as_any(rig: KvRig) -> None:
    assert rig.call(TXN, all_twice(revision=9)).status == status.OK  # the comparison fails
    rig.fill(1)
    assert rig.call(TXN, all_twice(revision=9))[:2] == status.FUTURE_REVISION


@pytest.mark.parametrize("options", [{}, {"count_only": True}, {"limit": 5}, {"revision": 1500}])
@pytest.mark.parametrize("sort_target", range(5))
def test_no_slice_of_a_range_looks_at_many_rows(options: dict[str, Any], sort_target: int) -> None:
    """However it is ordered and cut."""
    store = CountingStore()
    rig = KvRig(store=store)
    rig.fill(3000)
    request = RangeRequest(
        key=b"\0", range_end=b"\0", sort_target=sort_target, sort_order=2, **options
    )
    call = rig.start(RANGE, request)
    most = 0
    while call.outcome is None:
        store.rows = 0
        assert rig.loop.turn()
        rig.pump()
        most = max(most, store.rows)
    assert call.outcome.status == status.OK
    assert 200 <= most <= 3 * 200


def test_big_range_is_of_one_revision(rig: KvRig) -> None:
    """However much is written while it is read."""
    rig.fill(1000)
    call = rig.start(RANGE, EVERYTHING)
    rig.loop.turn()
    while call.outcome is None:
        rig.node.apply(encode(Put(b"k000999", b"newer")))
        rig.node.apply(encode(Put(b"later%d" % rig.node.machine.revision, b"new")))
        rig.loop.turn()
        rig.pump()
    response = RangeResponse.FromString(call.outcome.message)
    assert {kv.value for kv in response.kvs} == {b"v"}
    assert (response.count, response.header.revision) == (1000, 1001)


def test_cancelled_range_is_read_no_further(rig: KvRig) -> None:
    """And what it pinned may be compacted."""
    rig.fill(2000)
    call = rig.start(RANGE, EVERYTHING)
    rig.loop.turn()
    rig.loop.turn()
    call.client_call.cancel()
    rig.pump()
    rig.loop.turn()
    assert not rig.loop.turn()
    rig.call(PUT, PutRequest(key=b"later"))
    rig.call(COMPACT, CompactionRequest(revision=2002))
    while rig.node.machine.maintain(1000):
        pass
    assert rig.node.machine.removed_revision == 2002


def test_range_begins_anew_when_a_snapshot_replaces_the_state(rig: KvRig) -> None:
    """Half of one state and half of another would be neither."""
    other = KvRig()
    for number in range(800):
        other.node.apply(encode(Put(b"k%06d" % number, b"restored")))
    complete(other.node.machine.begin_checkpoint())
    reader = other.node.machine.open_snapshot()
    stream = read_all(reader)
    rig.fill(1000)
    call = rig.start(RANGE, EVERYTHING)
    rig.loop.turn()
    writer = rig.node.machine.begin_restore()
    writer.write(stream)
    writer.commit()
    writer.swap()
    rig.advance(0)
    assert call.outcome is not None
    response = RangeResponse.FromString(call.outcome.message)
    assert (response.count, {kv.value for kv in response.kvs}) == (800, {b"restored"})
    assert response.header.revision == 801
