"""Requests become commands, results become answers: the bytes are what protobuf would have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.api import kv_pb2, rpc_pb2
from raftwerk.kv.commands import (
    DeleteRange,
    SortOrder,
    SortTarget,
)
from raftwerk.kv.results import DeleteRangeResult, PutResult, RangeResult, TxnResult
from raftwerk.kv.rows import ROW_BYTES
from raftwerk.server import translate
from tests.server.member import Member

UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
REVISION = st.integers(0, 2**63 - 1)
KEYS = st.binary(max_size=4)
KVS = st.builds(
    kv_pb2.KeyValue,
    key=KEYS,
    create_revision=REVISION,
    mod_revision=REVISION,
    version=REVISION,
    value=st.binary(max_size=300),
    lease=INT64,
)

# Requests

RANGES = st.builds(
    rpc_pb2.RangeRequest,
    key=KEYS,
    range_end=KEYS,
    limit=INT64,
    revision=INT64,
    sort_order=st.integers(0, 2),
    sort_target=st.integers(0, 4),
    keys_only=st.booleans(),
    count_only=st.booleans(),
    min_mod_revision=INT64,
    max_mod_revision=INT64,
    min_create_revision=INT64,
    max_create_revision=INT64,
)
PUTS = st.builds(
    rpc_pb2.PutRequest,
    key=KEYS,
    value=KEYS,
    lease=INT64,
    prev_kv=st.booleans(),
    ignore_value=st.booleans(),
    ignore_lease=st.booleans(),
)
PLAIN = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from([127, 128, 129, 255, 256, 2**14 - 1, 2**14]).map(bytes),
)
DELETES = st.builds(rpc_pb2.DeleteRangeRequest, key=KEYS, range_end=KEYS, prev_kv=st.booleans())


@given(RANGES)
def test_range_keeps_every_field(request: rpc_pb2.RangeRequest) -> None:
    query = translate.range_query(request)
    assert {name: getattr(query, name) for name in query.__struct_fields__} == {
        name: getattr(request, name) for name in query.__struct_fields__
    }
    assert isinstance(query.sort_order, SortOrder)
    assert isinstance(query.sort_target, SortTarget)


@given(PUTS)
def test_put_keeps_every_field(request: rpc_pb2.PutRequest) -> None:
    command = translate.put_command(request)
    assert {name: getattr(command, name) for name in command.__struct_fields__} == {
        name: getattr(request, name) for name in command.__struct_fields__
    }


@given(PUTS | st.builds(rpc_pb2.PutRequest, key=PLAIN, value=PLAIN))
def test_plain_put_is_read_as_protobuf_reads_it(request: rpc_pb2.PutRequest) -> None:
    command = translate.plain_put(request.SerializeToString(deterministic=True))
    fields = {field.name for field, _ in request.ListFields()}
    if fields == {"key", "value"} and max(len(request.key), len(request.value)) < 2**14:
        assert command == translate.put_command(request)
    else:
        assert command is None


@given(
    request=st.builds(rpc_pb2.PutRequest, key=PLAIN, value=PLAIN)
    | st.builds(rpc_pb2.RangeRequest, key=PLAIN, serializable=st.booleans()),
    data=st.data(),
)
def test_whatever_is_taken_for_plain_is_that(
    request: rpc_pb2.PutRequest | rpc_pb2.RangeRequest, data: st.DataObject
) -> None:
    """Cut short, longer, or with bytes changed."""
    serialized = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(0, 2))):
        if serialized:
            place = data.draw(st.integers(0, min(len(serialized), 6) - 1))
            serialized[place] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(serialized)))
    changed = bytes(serialized[:size]) + data.draw(st.binary(max_size=2))
    command = translate.plain_put(changed)
    if command is not None:
        assert command == translate.put_command(rpc_pb2.PutRequest.FromString(changed))
    plain = translate.plain_range(changed)
    if plain is not None:
        read = rpc_pb2.RangeRequest.FromString(changed)
        assert plain == (translate.range_query(read), read.serializable)


@given(
    RANGES
    | st.builds(rpc_pb2.RangeRequest, key=PLAIN, serializable=st.booleans())
    | st.builds(rpc_pb2.RangeRequest, key=PLAIN, limit=st.integers(0, 1), keys_only=st.booleans())
)
def test_plain_range_is_read_as_protobuf_reads_it(request: rpc_pb2.RangeRequest) -> None:
    plain = translate.plain_range(request.SerializeToString(deterministic=True))
    fields = {field.name for field, _ in request.ListFields()}
    if fields in ({"key"}, {"key", "serializable"}) and len(request.key) < 2**14:
        assert plain == (translate.range_query(request), request.serializable)
    else:
        assert plain is None


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0a",
        "0a80",
        "0a8001",
        "0a016b",
        "0a016b12",
        "0a016b1280",
        "0a016b128001",
        "0a00120176",
        "0a016b120176ff",
    ],
)
def test_what_is_no_whole_plain_put_is_left_to_protobuf(data: str) -> None:
    assert translate.plain_put(bytes.fromhex(data)) is None


@given(DELETES)
def test_delete_keeps_every_field(request: rpc_pb2.DeleteRangeRequest) -> None:
    command = translate.delete_command(request)
    assert command == DeleteRange(request.key, request.range_end, request.prev_kv)


def whole(parts: translate.Parts) -> bytes:
    """What comes with the last slice."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            data: list[bytes] = end.value
            return b"".join(data)


# Responses


@given(cluster_id=UINT64, node_id=UINT64, revision=REVISION, term=UINT64)
def test_header_is_protobufs(cluster_id: int, node_id: int, revision: int, term: int) -> None:
    headers = translate.Headers(Member(cluster_id, node_id, term))
    header = rpc_pb2.ResponseHeader(
        cluster_id=cluster_id, member_id=node_id, revision=revision, raft_term=term
    )
    assert headers.message(revision) == header
    data = headers.field(revision)
    assert rpc_pb2.PutResponse.FromString(data) == rpc_pb2.PutResponse(header=header)


def test_header_follows_revision_and_term() -> None:
    member = Member(1, 2, 0)
    headers = translate.Headers(member)
    fields = []
    for revision, member.current_term in ((5, 1), (6, 1), (6, 2), (5, 1), (5, 0), (0, 0)):
        fields.append(headers.field(revision))
    parsed = [rpc_pb2.PutResponse.FromString(field).header for field in fields]
    assert [(header.revision, header.raft_term) for header in parsed] == [
        (5, 1),
        (6, 1),
        (6, 2),
        (5, 1),
        (5, 0),
        (0, 0),
    ]


HEADER = rpc_pb2.ResponseHeader(cluster_id=1, member_id=2, revision=9, raft_term=3)
HEADER_FIELD = translate.Headers(Member(1, 2, 3)).field(9)


def serialized(kvs: list[kv_pb2.KeyValue]) -> list[bytes]:
    return [kv.SerializeToString() for kv in kvs]


@given(kvs=st.lists(KVS, max_size=4), more=st.booleans(), count=REVISION)
def test_range_response_is_protobufs(kvs: list[kv_pb2.KeyValue], more: bool, count: int) -> None:
    result = RangeResult(9, serialized(kvs), more, count)
    expected = rpc_pb2.RangeResponse(header=HEADER, kvs=kvs, more=more, count=count)
    assert b"".join(translate.range_parts(HEADER_FIELD, result)) == expected.SerializeToString()


@given(kvs=st.lists(KVS, max_size=6), cut=st.integers(0, 6))
def test_range_response_can_be_made_in_pieces(kvs: list[kv_pb2.KeyValue], cut: int) -> None:
    result = RangeResult(9, serialized(kvs), True, 7)
    pieces = [
        HEADER_FIELD,
        translate.kvs_field(result.kvs[:cut]),
        translate.kvs_field(result.kvs[cut:]),
        translate.range_tail(result),
    ]
    assert b"".join(pieces) == b"".join(translate.range_parts(HEADER_FIELD, result))


@given(prev_kv=st.none() | KVS)
def test_put_response_is_protobufs(prev_kv: kv_pb2.KeyValue | None) -> None:
    result = PutResult(9, None if prev_kv is None else prev_kv.SerializeToString())
    expected = rpc_pb2.PutResponse(header=HEADER, prev_kv=prev_kv)
    assert b"".join(translate.put_parts(HEADER_FIELD, result)) == expected.SerializeToString()


@given(deleted=REVISION, prev_kvs=st.lists(KVS, max_size=3))
def test_delete_response_is_protobufs(deleted: int, prev_kvs: list[kv_pb2.KeyValue]) -> None:
    result = DeleteRangeResult(9, deleted, serialized(prev_kvs))
    expected = rpc_pb2.DeleteRangeResponse(header=HEADER, deleted=deleted, prev_kvs=prev_kvs)
    assert whole(translate.delete_steps(HEADER_FIELD, result, 1)) == expected.SerializeToString()


@given(kv=KVS, succeeded=st.booleans(), depth=st.integers(0, 3))
def test_txn_response_is_protobufs(kv: kv_pb2.KeyValue, succeeded: bool, depth: int) -> None:
    """Responses inside carry a header with the revision alone, nested transactions an empty one."""
    revision = rpc_pb2.ResponseHeader(revision=9)
    data = kv.SerializeToString()
    result = TxnResult(
        9,
        succeeded,
        [RangeResult(9, [data], False, 1), PutResult(9, data), DeleteRangeResult(9, 1, [])],
    )
    expected = rpc_pb2.TxnResponse(
        succeeded=succeeded,
        responses=[
            rpc_pb2.ResponseOp(
                response_range=rpc_pb2.RangeResponse(header=revision, kvs=[kv], count=1)
            ),
            rpc_pb2.ResponseOp(response_put=rpc_pb2.PutResponse(header=revision, prev_kv=kv)),
            rpc_pb2.ResponseOp(
                response_delete_range=rpc_pb2.DeleteRangeResponse(header=revision, deleted=1)
            ),
        ],
    )
    for _ in range(depth):
        expected.header.SetInParent()
        result = TxnResult(9, True, [result])
        inner = rpc_pb2.ResponseOp(response_txn=expected)
        expected = rpc_pb2.TxnResponse(succeeded=True, responses=[inner])
    expected.header.CopyFrom(HEADER)
    assert whole(translate.txn_steps(HEADER_FIELD, result, 1)) == expected.SerializeToString()


def test_long_answer_is_put_together_in_slices() -> None:
    """However its key-values are spread over its operations."""
    kvs = [b"kv%d" % number for number in range(10)]
    ranges = [RangeResult(1, kvs[:5], False, 5), RangeResult(1, kvs[5:], False, 5)]
    deleted = DeleteRangeResult(2, 10, kvs)
    result = TxnResult(2, True, [*ranges, TxnResult(2, True, [deleted])])
    slices = 1 + sum(1 for _ in translate.txn_steps(HEADER_FIELD, result, 5))
    assert slices == 4
    at_once = whole(translate.txn_steps(HEADER_FIELD, result, 100))
    assert whole(translate.txn_steps(HEADER_FIELD, result, 3)) == at_once


LARGE = bytes(3 * ROW_BYTES)
LARGE_ANSWERS = {
    "read": TxnResult(2, True, [RangeResult(2, [LARGE], False, 1)] * 4),
    "replaced": TxnResult(2, True, [PutResult(2, LARGE)] * 4),
    "deleted": DeleteRangeResult(2, 4, [LARGE] * 4),
}


@pytest.mark.parametrize("result", LARGE_ANSWERS.values(), ids=LARGE_ANSWERS)
def test_large_key_values_count_for_more(result: TxnResult | DeleteRangeResult) -> None:
    """Two of them are more than a slice has room for."""
    if isinstance(result, TxnResult):
        steps = translate.txn_steps(HEADER_FIELD, result, 5)
    else:
        steps = translate.delete_steps(HEADER_FIELD, result, 5)
    assert 1 + sum(1 for _ in steps) == 2


def test_pieces_of_an_answer_are_few_and_large_ones_are_not_copied() -> None:
    """Each takes a frame of its own."""
    large = bytes(translate.PIECE_BYTES)
    steps = translate.txn_steps(
        HEADER_FIELD, TxnResult(2, True, [*[PutResult(2, b"kv")] * 1000, PutResult(2, large)]), 5000
    )
    with pytest.raises(StopIteration) as end:
        next(steps)
    pieces = end.value.value
    assert len(pieces) < 1000 + 5
    assert any(piece is large for piece in pieces)
