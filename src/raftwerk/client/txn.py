"""Transactions, put together: comparisons, and what is done when they all hold, or when one does not.

await (
    client.transaction()
    .when(version(b"lock").equals(0))
    .then(put(b"lock", b"mine"))
    .otherwise(get(b"lock"))
    .commit()
)
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Self, TypeAlias

from google.protobuf.message import Message

from raftwerk.api import rpc_pb2
from raftwerk.api.rpc_pb2 import Compare, RequestOp
from raftwerk.client import arguments
from raftwerk.client.ranges import bounds
from raftwerk.errors import UsageError

Response: TypeAlias = (
    rpc_pb2.PutResponse | rpc_pb2.RangeResponse | rpc_pb2.DeleteRangeResponse | rpc_pb2.TxnResponse
)

_FIELDS: Final = {
    Compare.VERSION: "version",
    Compare.CREATE: "create_revision",
    Compare.MOD: "mod_revision",
    Compare.VALUE: "value",
    Compare.LEASE: "lease",
}


_WHEN: Final = 'when takes comparisons, each like value(b"key").equals(b"text"): value(b"key") alone is none, and == makes none'
_THEN: Final = (
    "then and otherwise take put(...), get(...) and delete(...) of raftwerk.client.txn, and the operation() of a "
    "transaction that is a part"
)


class Operand:
    """What of a key is compared. Of a range of keys it must hold for every one."""

    def __init__(
        self, target: "Compare.CompareTarget.ValueType", key: bytes, range_end: bytes
    ) -> None:
        self._target = target
        self._key = key
        self._range_end = range_end

    def equals(self, other: int | bytes) -> Compare:
        return self._compare(Compare.EQUAL, other)

    def differs_from(self, other: int | bytes) -> Compare:
        return self._compare(Compare.NOT_EQUAL, other)

    def is_above(self, other: int | bytes) -> Compare:
        return self._compare(Compare.GREATER, other)

    def is_below(self, other: int | bytes) -> Compare:
        return self._compare(Compare.LESS, other)

    def _compare(self, result: "Compare.CompareResult.ValueType", other: int | bytes) -> Compare:
        compared = {_FIELDS[self._target]: other}
        return arguments.request(
            Compare,
            target=self._target,
            result=result,
            key=self._key,
            range_end=self._range_end,
            **compared,
        )


def value(key: bytes, range_end: bytes = b"") -> Operand:
    """The value. No comparison holds for a key that is not there."""
    return Operand(Compare.VALUE, key, range_end)


def version(key: bytes, range_end: bytes = b"") -> Operand:
    """How often it was written since it came to be; 0: it is not there."""
    return Operand(Compare.VERSION, key, range_end)


def created(key: bytes, range_end: bytes = b"") -> Operand:
    """The revision at which it came to be; 0: it is not there."""
    return Operand(Compare.CREATE, key, range_end)


def modified(key: bytes, range_end: bytes = b"") -> Operand:
    """The revision of its last write; 0: it is not there."""
    return Operand(Compare.MOD, key, range_end)


def lease_of(key: bytes, range_end: bytes = b"") -> Operand:
    """The lease it is attached to; 0: none."""
    return Operand(Compare.LEASE, key, range_end)


def put(key: bytes, value: bytes, *, lease: int = 0, prev_kv: bool = False) -> RequestOp:
    """Set a key."""
    request = arguments.request(
        rpc_pb2.PutRequest, key=key, value=value, lease=lease, prev_kv=prev_kv
    )
    return RequestOp(request_put=request)


def get(key: bytes, range_end: bytes = b"", *, prefix: bool = False, limit: int = 0) -> RequestOp:
    """Read a key or a range; sees what was written before it in the same transaction."""
    key, range_end = bounds(key, range_end, prefix=prefix)
    request = arguments.request(rpc_pb2.RangeRequest, key=key, range_end=range_end, limit=limit)
    return RequestOp(request_range=request)


def delete(
    key: bytes, range_end: bytes = b"", *, prefix: bool = False, prev_kv: bool = False
) -> RequestOp:
    """Remove a key or a range."""
    key, range_end = bounds(key, range_end, prefix=prefix)
    request = arguments.request(
        rpc_pb2.DeleteRangeRequest, key=key, range_end=range_end, prev_kv=prev_kv
    )
    return RequestOp(request_delete_range=request)


class TxnResult(NamedTuple):
    """succeeded: all comparisons held. responses: one for each operation that was done."""

    succeeded: bool
    revision: int
    responses: list[Response]


class Transaction:
    """Comparisons and operations in the order in which they were added. Made by itself it is a part of another: `operation`.

    Raises UsageError for what is none, as do the functions that make them.
    """

    def __init__(self) -> None:
        self.request = rpc_pb2.TxnRequest()

    def when(self, *compares: Compare) -> Self:
        _check(compares, Compare, _WHEN)
        self.request.compare.extend(compares)
        return self

    def then(self, *operations: RequestOp) -> Self:
        _check(operations, RequestOp, _THEN)
        self.request.success.extend(operations)
        return self

    def otherwise(self, *operations: RequestOp) -> Self:
        _check(operations, RequestOp, _THEN)
        self.request.failure.extend(operations)
        return self

    def operation(self) -> RequestOp:
        """This one as a part of another."""
        return RequestOp(request_txn=self.request)


def _check(parts: Sequence[object], kind: type[Message], how: str) -> None:
    if not all(isinstance(part, kind) for part in parts):
        raise UsageError(how)


class ClientTransaction(Transaction):
    """One that a client can commit. May be nested too."""

    def __init__(
        self, send: Callable[[rpc_pb2.TxnRequest], Awaitable[rpc_pb2.TxnResponse]]
    ) -> None:
        super().__init__()
        self._send = send

    async def commit(self) -> TxnResult:
        """Have it done. Raises as Client.txn."""
        return result_of(await self._send(self.request))


def result_of(response: rpc_pb2.TxnResponse) -> TxnResult:
    """The same, to be read more easily."""
    return TxnResult(
        response.succeeded,
        response.header.revision,
        [_response(one) for one in response.responses],
    )


def _response(response: rpc_pb2.ResponseOp) -> Response:
    if response.HasField("response_put"):
        return response.response_put
    if response.HasField("response_range"):
        return response.response_range
    if response.HasField("response_delete_range"):
        return response.response_delete_range
    return response.response_txn
