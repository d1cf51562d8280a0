"""The messages of a load: right, and different in nothing but the key."""

import pytest

from raftwerk.api import rpc_pb2
from raftwerk.client.load_requests import Operation, key_drawer, templates
from raftwerk.errors import UsageError

KEY = b"00000042"


def only(operation: Operation) -> bytes:
    """The message, without its prefix."""
    (template,) = templates(operation, 100)
    message = template.message(KEY)
    assert int.from_bytes(message[1:5], "big") == len(message) - 5
    return message[5:]


@pytest.mark.parametrize("operation", [Operation.PUT, Operation.FILL])
def test_put(operation: Operation) -> None:
    request = rpc_pb2.PutRequest.FromString(only(operation))
    assert (request.key, len(request.value)) == (KEY, 100)


def test_ranges() -> None:
    assert rpc_pb2.RangeRequest.FromString(only(Operation.RANGE)) == rpc_pb2.RangeRequest(key=KEY)
    request = rpc_pb2.RangeRequest.FromString(only(Operation.SERIALIZABLE))
    assert request == rpc_pb2.RangeRequest(key=KEY, serializable=True)


def test_txn_puts_four_keys() -> None:
    request = rpc_pb2.TxnRequest.FromString(only(Operation.TXN))
    keys = [one.request_put.key for one in request.success]
    assert keys == [b"0/" + KEY, b"1/" + KEY, b"2/" + KEY, b"3/" + KEY]


def test_mixed_is_nine_ranges_to_a_put() -> None:
    paths = [template.path for template in templates(Operation.MIXED, 10)]
    assert paths == ["/etcdserverpb.KV/Range"] * 9 + ["/etcdserverpb.KV/Put"]


def test_request_fits_in_a_frame() -> None:
    with pytest.raises(UsageError, match="16384"):
        templates(Operation.PUT, 16_384)


def test_generators_fill_a_share_each() -> None:
    drawers = [key_drawer(Operation.FILL, 10, place, 2) for place in range(2)]
    filled = [draw() for draw in drawers for _ in range(5)]
    assert sorted(filled) == [b"%08d" % number for number in range(10)]
    assert drawers[0]() == b"00000000"


def test_keys_are_drawn_from_all() -> None:
    draw = key_drawer(Operation.PUT, 3, 0, 1)
    assert {draw() for _ in range(200)} == {b"00000000", b"00000001", b"00000002"}
