"""What a load asks for: messages of which everything but the key is encoded once."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Final

from google.protobuf.message import Message

from raftwerk.api import rpc_pb2
from raftwerk.errors import UsageError
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.unary import MESSAGE_BYTES_MAX

KEY: Final = b"\0the-key"
"""Stands for the key in a message that is encoded once: as long as any."""
KEY_FORMAT: Final = b"%08d"
KEYS_MAX: Final = 10 ** len(KEY)
TXN_PUTS: Final = 4


class Operation(StrEnum):
    """What is done again and again."""

    PUT = "put"
    """Set one of the keys, any of them."""
    FILL = "fill"
    """Set the keys one after the other: each once, if there are as many requests."""
    RANGE = "range"
    """Get one key, linearizable."""
    SERIALIZABLE = "serializable"
    """Get one key, from the member's own state."""
    TXN = "txn"
    """A transaction of 4 puts."""
    MIXED = "mixed"
    """Nine times range, once put."""
    WATCH = "watch"
    """Set one of the keys, while others watch (load_watch.py)."""


@dataclass(frozen=True, slots=True)
class Template:
    """A request. parts: the message with its prefix, cut where the key stands."""

    path: str
    parts: list[bytes]

    def message(self, key: bytes) -> bytes:
        return key.join(self.parts)


def template(path: str, message: Message) -> Template:
    """Of a message that has KEY in the place of the key. Raises UsageError if it is too large."""
    data = frame_message(message.SerializeToString())
    if len(data) > MESSAGE_BYTES_MAX:
        raise UsageError(f"a request of {len(data)} bytes: a load takes {MESSAGE_BYTES_MAX}")
    return Template(path, data.split(KEY))


def templates(operation: Operation, value_bytes: int) -> list[Template]:
    """The requests of an operation, each as often as the others. Values are noise, so that nobody compresses them."""
    value = random.Random(value_bytes).randbytes(value_bytes)
    put = template("/etcdserverpb.KV/Put", rpc_pb2.PutRequest(key=KEY, value=value))
    get = template("/etcdserverpb.KV/Range", rpc_pb2.RangeRequest(key=KEY))
    if operation in (Operation.PUT, Operation.FILL, Operation.WATCH):
        return [put]
    if operation == Operation.RANGE:
        return [get]
    if operation == Operation.SERIALIZABLE:
        request = rpc_pb2.RangeRequest(key=KEY, serializable=True)
        return [template("/etcdserverpb.KV/Range", request)]
    if operation == Operation.MIXED:
        return [get] * 9 + [put]
    puts = [
        rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"%d/" % number + KEY, value=value))
        for number in range(TXN_PUTS)
    ]
    return [template("/etcdserverpb.KV/Txn", rpc_pb2.TxnRequest(success=puts))]


def key_drawer(operation: Operation, keys: int, place: int, places: int) -> Callable[[], bytes]:
    """What draws the next key. place of places: which of several generators this is; each fills its share of the keys."""
    if operation == Operation.FILL:
        numbers = count(place, places)
        return lambda: KEY_FORMAT % (next(numbers) % keys)
    draw = random.Random(place).random
    return lambda: KEY_FORMAT % int(draw() * keys)
