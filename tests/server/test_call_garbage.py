"""Calls leave nothing for the garbage collector: its pauses would grow with the load, and nothing else may run in them.

What answers a call must not hold itself. Compiled functions within functions do where several stand in one (see server/calls.py).
"""

import pytest
from google.protobuf.message import Message

from raftwerk.api.rpc_pb2 import (
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from tests.garbage import garbage
from tests.server.kv_rig import DELETE, PUT, RANGE, TXN, KvRig

KEY = b"key"
ONE_PUT = RequestOp(request_put=PutRequest(key=KEY, value=b"2"))
ONE_RANGE = RequestOp(request_range=RangeRequest(key=KEY))
IN_TIME = {b"grpc-timeout": b"9S"}


@pytest.mark.parametrize("headers", [{}, IN_TIME], ids=["", "with a deadline"])
@pytest.mark.parametrize(
    ("path", "request_"),
    [
        (PUT, PutRequest(key=KEY, value=b"1")),
        (PUT, PutRequest(key=KEY, value=b"1", prev_kv=True)),
        (DELETE, DeleteRangeRequest(key=KEY)),
        (TXN, TxnRequest(success=[ONE_PUT, ONE_RANGE])),
        (TXN, TxnRequest(compare=[Compare(key=KEY)], success=[ONE_RANGE])),
        (
            TXN,
            TxnRequest(success=[RequestOp(request_range=RangeRequest(key=KEY, serializable=True))]),
        ),
        (RANGE, RangeRequest(key=KEY)),
        (RANGE, RangeRequest(key=KEY, serializable=True)),
        (RANGE, RangeRequest(key=KEY, range_end=b"\0")),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value).replace("\n", " "),
)
def test_call_leaves_no_garbage(path: str, request_: Message, headers: dict[bytes, bytes]) -> None:
    rig, data = KvRig(), request_.SerializeToString()
    rig.call(path, data, headers=headers)
    with garbage() as left:
        rig.call(path, data, headers=headers)
    assert not left


def test_garbage_is_found() -> None:
    with garbage() as left:
        itself: list[object] = []
        itself.append(itself)
        del itself
    assert left == {list}
