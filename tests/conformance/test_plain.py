"""Messages out of plain data, and back."""

import pytest

from raftwerk.api import lease_pb2, rpc_pb2
from raftwerk.conformance.names import Names
from raftwerk.conformance.plain import message_of, plain_of

NAMES = Names(b"p/", 1000, 0x1234567890ABCD00)
TXN = {
    "compare": [{"result": "GREATER", "target": "MOD", "key": "a", "mod_revision": "R+3"}],
    "success": [
        {"request_put": {"key": "a", "value": "\xff", "lease": "L+1", "prev_kv": True}},
        {"request_txn": {"failure": [{"request_range": {"key": "\0", "range_end": "\0"}}]}},
    ],
}


def test_message_is_what_the_data_say() -> None:
    message = message_of(rpc_pb2.TxnRequest, TXN, NAMES)
    assert message.compare[0].mod_revision == 1003
    assert message.success[0].request_put == rpc_pb2.PutRequest(
        key=b"p/a", value=b"\xff", lease=0x1234567890ABCD01, prev_kv=True
    )
    assert message.success[1].request_txn.failure[0].request_range.key == b"\0"


def test_message_is_told_as_it_was_said() -> None:
    assert plain_of(message_of(rpc_pb2.TxnRequest, TXN, NAMES), NAMES) == TXN


def test_operand_of_zero_is_sent() -> None:
    compare = message_of(rpc_pb2.Compare, {"target": "LEASE", "lease": 0}, NAMES)
    assert compare.WhichOneof("target_union") == "lease"


def test_message_without_fields_is_there() -> None:
    request = message_of(rpc_pb2.RequestOp, {"request_txn": {}}, NAMES)
    assert request.HasField("request_txn")


def test_list_of_keys_is_told() -> None:
    response = lease_pb2.LeaseTimeToLiveResponse(keys=[b"p/a", b"other"])
    assert plain_of(response, NAMES) == {"keys": ["a", "other"]}


def test_long_value_is_told_by_its_length() -> None:
    response = rpc_pb2.RangeResponse()
    response.kvs.add(value=b"x" * 1000)
    assert plain_of(response, NAMES) == {"kvs": [{"value": "<1000 bytes, CRC 3b41c9e6>"}]}


def test_unknown_field_is_a_mistake_of_the_case() -> None:
    with pytest.raises(ValueError, match="PutRequest has no field colour"):
        message_of(rpc_pb2.PutRequest, {"colour": 1}, NAMES)
