"""Messages as JSON, and JSON as messages."""

import itertools
import json

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.api import kv_pb2, rpc_pb2
from raftwerk.server.gateway_json import (
    PIECE_BYTES,
    BadJson,
    JsonSplitter,
    count_parts,
    decode,
    encode,
    encode_in_pieces,
)

HEADER = rpc_pb2.ResponseHeader(cluster_id=2**64 - 1, revision=2**53 + 1)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (rpc_pb2.RangeResponse(), {}),
        (
            rpc_pb2.RangeResponse(header=HEADER),
            {"header": {"cluster_id": "18446744073709551615", "revision": "9007199254740993"}},
        ),
        (
            rpc_pb2.RangeResponse(kvs=[kv_pb2.KeyValue(key=b"\xff\0", lease=-1)], more=True),
            {"kvs": [{"key": "/wA=", "lease": "-1"}], "more": True},
        ),
        (rpc_pb2.PutResponse(header=rpc_pb2.ResponseHeader()), {"header": {}}),
        (rpc_pb2.HashKVResponse(hash=7), {"hash": 7}),
        (
            rpc_pb2.AlarmResponse(alarms=[rpc_pb2.AlarmMember(memberID=1, alarm="NOSPACE")]),
            {"alarms": [{"memberID": "1", "alarm": "NOSPACE"}]},
        ),
        (rpc_pb2.AlarmMember(alarm=99), {"alarm": 99}),  # type: ignore[arg-type]
        (
            rpc_pb2.MemberListResponse(members=[rpc_pb2.Member(peerURLs=["http://ü"])]),
            {"members": [{"peerURLs": ["http://ü"]}]},
        ),
    ],
    ids=["empty", "long", "bytes", "empty part", "short", "enum", "unknown enum", "strings"],
)
def test_message_becomes_json(message: Message, value: object) -> None:
    assert json.loads(encode(message)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", rpc_pb2.RangeRequest()),
        (" \n", rpc_pb2.RangeRequest()),
        ('{"key":"YQ=="}', rpc_pb2.RangeRequest(key=b"a")),
        ('{"key":null,"nonsense":{"a":[1]}}', rpc_pb2.RangeRequest()),
        ('{"range_end":"Yg==","rangeEnd":"Yw=="}', rpc_pb2.RangeRequest(range_end=b"c")),
        ('{"limit":"3","revision":-1}', rpc_pb2.RangeRequest(limit=3, revision=-1)),
        ('{"sort_order":"DESCEND"}', rpc_pb2.RangeRequest(sort_order="DESCEND")),
        ('{"sortOrder":2,"keys_only":true}', rpc_pb2.RangeRequest(sort_order=2, keys_only=True)),  # type: ignore[arg-type]
    ],
)
def test_json_becomes_a_message(text: str, message: Message) -> None:
    assert decode(rpc_pb2.RangeRequest, text.encode()) == message


def test_nested_json_becomes_a_message() -> None:
    text = (
        b'{"compare":[{"key":"YQ==","target":"VALUE","value":""}],"success":[{"request_txn":'
        b'{"failure":[{"requestDeleteRange":{"key":"Yg=="}},{"request_range":{}}]}}]}'
    )
    nested = rpc_pb2.TxnRequest(
        failure=[
            rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=b"b")),
            rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest()),
        ]
    )
    assert decode(rpc_pb2.TxnRequest, text) == rpc_pb2.TxnRequest(
        compare=[rpc_pb2.Compare(key=b"a", target="VALUE", value=b"")],
        success=[rpc_pb2.RequestOp(request_txn=nested)],
    )


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "3",
        '{"key":"YQ==',
        '{"key":3}',
        '{"key":"?"}',
        '{"key":"YQ"}',
        '{"key":"foo bar"}',
        '{"key":"\u00fc"}',
        '{"limit":1.5}',
        '{"limit":true}',
        '{"limit":"9223372036854775808"}',
        '{"limit":"0x3"}',
        '{"limit":{}}',
        '{"sort_order":"SIDEWAYS"}',
        '{"keys_only":"true"}',
        '{"keys_only":1}',
        '{"key":{}}',
        "[" * 100_000,
    ],
)
def test_wrong_json_is_refused(text: str) -> None:
    with pytest.raises(BadJson):
        decode(rpc_pb2.RangeRequest, text.encode())


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    "request_",
    [
        {"key": [LONG]},
        {"key": {LONG: LONG}},
        {"limit": LONG},
        {"limit": 10**4000},
        {"limit": "9" * 1000},
        {"sort_order": LONG},
        {"sort_order": 10**4000},
        {"keys_only": LONG},
        {"key": "\u00fc" + LONG},
    ],
    ids=lambda value: next(iter(value)),
)
def test_wrong_value_is_not_told_whole(request_: dict[str, object]) -> None:
    with pytest.raises(BadJson) as caught:
        decode(rpc_pb2.RangeRequest, json.dumps(request_).encode())
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ['{"compare":{}}', '{"compare":[3]}', '{"success":[[]]}'])
def test_wrong_nested_json_is_refused(text: str) -> None:
    with pytest.raises(BadJson):
        decode(rpc_pb2.TxnRequest, text.encode())


def test_too_deep_json_is_refused() -> None:
    text = '{"success":[{"request_txn":' * 60 + "{}" + "}]}" * 60
    with pytest.raises(BadJson, match="too deep"):
        decode(rpc_pb2.TxnRequest, text.encode())


keys = st.binary(max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
key_values = st.builds(kv_pb2.KeyValue, key=keys, value=keys, lease=numbers, version=numbers)


@given(st.lists(key_values, max_size=3), numbers)
def test_json_keeps_everything(kvs: list[kv_pb2.KeyValue], count: int) -> None:
    message = rpc_pb2.RangeResponse(kvs=kvs, count=count)
    assert decode(rpc_pb2.RangeResponse, encode(message).encode()) == message


@given(
    st.lists(st.binary(max_size=9000), max_size=12),
    st.booleans(),
    st.integers(0, 2**63 - 1),
    st.booleans(),
)
def test_pieces_are_together_what_is_written_at_once(
    values: list[bytes], has_header: bool, count: int, more: bool
) -> None:
    message = rpc_pb2.RangeResponse(
        header=HEADER if has_header else None,
        kvs=[kv_pb2.KeyValue(key=b"k", value=value) for value in values],
        more=more,
        count=count,
    )
    pieces = list(encode_in_pieces(rpc_pb2.RangeResponse, message.SerializeToString()))
    assert "".join(pieces) == encode(message)
    largest = max((len(value) for value in values), default=0)
    assert max(map(len, pieces)) < 2 * (PIECE_BYTES + largest) + 200


def test_pieces_of_several_lists_are_those_lists() -> None:
    message = rpc_pb2.DeleteRangeResponse(deleted=2, prev_kvs=[kv_pb2.KeyValue()] * 2)
    member = rpc_pb2.Member(peerURLs=["a", "b"], clientURLs=["c"])
    for one in (message, member, rpc_pb2.Member()):
        pieces = encode_in_pieces(type(one), one.SerializeToString())
        assert "".join(pieces) == encode(one)


OBJECTS = [
    b'{"a":"}\\"{\\\\"}',
    b' {"b":[[{},[]]]}',
    b"\n{}",
    b"{}",
    b'{"\\\\":[[{"":[]}]]}',
    b"[[]]",
]


@given(st.lists(st.integers(0, len(b"".join(OBJECTS))), max_size=40))
def test_objects_are_found_however_they_are_cut(places: list[int]) -> None:
    text = b"".join(OBJECTS)
    edges = [0, *sorted(places), len(text)]
    splitter = JsonSplitter(100)
    found = [
        one for start, stop in itertools.pairwise(edges) for one in splitter.feed(text[start:stop])
    ]
    assert found == OBJECTS
    assert splitter.rest() == b""


def test_what_is_not_complete_is_left() -> None:
    splitter = JsonSplitter(100)
    assert splitter.feed(b'{} {"a"') == [b"{}"]
    assert splitter.rest() == b'{"a"'


def test_request_that_does_not_end_is_refused() -> None:
    splitter = JsonSplitter(10)
    splitter.feed(b'{"a":"1234')
    with pytest.raises(BadJson, match="larger"):
        splitter.feed(b"5")


PARTS = {
    "objects": b'{"success":[' + b"{}," * 100 + b"{}]}",
    "lists": b'{"x":[' + b"[]," * 100 + b"[]]}",
    "values": b'{"x":[' + b"1," * 100 + b"1]}",
    "names": b"{" + b",".join(b'"x%d":1' % number for number in range(100)) + b"}",
    "depth": b'{"x":' * 100 + b"1" + b"}" * 100,
}


@pytest.mark.parametrize("kind", PARTS)
def test_request_of_too_many_parts_is_not_read(kind: str) -> None:
    text = PARTS[kind]
    assert isinstance(decode(rpc_pb2.TxnRequest, text, count_parts(text)), rpc_pb2.TxnRequest)
    with pytest.raises(BadJson, match="more than 99 parts"):
        decode(rpc_pb2.TxnRequest, text, 99)


def test_number_that_takes_long_is_not_read() -> None:
    with pytest.raises(BadJson, match="a number of 4000 digits"):
        decode(rpc_pb2.RangeRequest, b'{"x":' + b"9" * 4000 + b"}")
