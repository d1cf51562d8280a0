"""The checks that need no state: what is refused before anything is proposed, in etcd's order and words."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status

_SORT_ORDERS: Final = frozenset(rpc_pb2.RangeRequest.SortOrder.values())
_SORT_TARGETS: Final = frozenset(rpc_pb2.RangeRequest.SortTarget.values())


def check_range(request: rpc_pb2.RangeRequest) -> Status | None:
    if not request.key:
        return status.EMPTY_KEY
    if request.sort_order not in _SORT_ORDERS or request.sort_target not in _SORT_TARGETS:
        return status.INVALID_SORT_OPTION
    return None


def check_put(request: rpc_pb2.PutRequest) -> Status | None:
    if not request.key:
        return status.EMPTY_KEY
    if request.ignore_value and request.value:
        return status.VALUE_PROVIDED
    if request.ignore_lease and request.lease:
        return status.LEASE_PROVIDED
    return None


def check_delete_range(request: rpc_pb2.DeleteRangeRequest) -> Status | None:
    return None if request.key else status.EMPTY_KEY


def check_txn(request: rpc_pb2.TxnRequest, ops_max: int) -> Status | None:
    """All checks of a transaction, nested ones too, and that no key is written twice."""
    refusal = _check_txn_shape(request, ops_max)
    if refusal is not None:
        return refusal
    for operations in (request.success, request.failure):
        if _Writes().collect(operations) is None:
            return status.DUPLICATE_KEY
    return None


def _check_txn_shape(request: rpc_pb2.TxnRequest, ops_max: int) -> Status | None:
    ops = max(len(request.compare), len(request.success), len(request.failure))
    if ops > ops_max:
        return status.TOO_MANY_OPS
    if not all(compare.key for compare in request.compare):
        return status.EMPTY_KEY
    for operation in (*request.success, *request.failure):
        refusal = _check_operation(operation, ops_max - ops)  # nested levels share what is left
        if refusal is not None:
            return refusal
    return None


def _check_operation(operation: rpc_pb2.RequestOp, ops_max: int) -> Status | None:
    kind = operation.WhichOneof("request")
    if kind == "request_range":
        return check_range(operation.request_range)
    if kind == "request_put":
        return check_put(operation.request_put)
    if kind == "request_delete_range":
        return check_delete_range(operation.request_delete_range)
    if kind == "request_txn":
        return _check_txn_shape(operation.request_txn, ops_max)
    return status.KEY_NOT_FOUND  # an empty operation: etcd's answer


class _Writes:
    """The keys that one branch writes: none may be put twice, or deleted and put."""

    def __init__(self) -> None:
        self.puts: set[bytes] = set()
        self.deletes = _Spans()

    def collect(self, operations: Sequence[rpc_pb2.RequestOp]) -> "_Writes | None":
        """Take in the operations of a branch; None if they collide."""
        for operation in operations:
            if operation.HasField("request_delete_range"):
                delete = operation.request_delete_range
                # As etcd does here: a range_end of "\0" is a plain end, so that nothing lies before it
                self.deletes.add(delete.key, delete.range_end or delete.key + b"\0")
        for operation in operations:
            if operation.HasField("request_txn") and not self._add_txn(operation.request_txn):
                return None
        for operation in operations:
            if operation.HasField("request_put") and not self._add_put(operation.request_put.key):
                return None
        return self

    def _add_txn(self, nested: rpc_pb2.TxnRequest) -> bool:
        """Only one branch of a nested transaction runs: they may write the same keys, but put none that others write.

        What others before it put may be deleted: etcd lets that through, though not the reverse.
        """
        success, failure = (
            _Writes().collect(branch) for branch in (nested.success, nested.failure)
        )
        if success is None or failure is None:
            return False
        puts = success.puts | failure.puts
        if any(self._collides(key) for key in puts):
            return False
        self.puts |= puts
        self.deletes.add_all(success.deletes)
        self.deletes.add_all(failure.deletes)
        return True

    def _add_put(self, key: bytes) -> bool:
        if self._collides(key):
            return False
        self.puts.add(key)
        return True

    def _collides(self, key: bytes) -> bool:
        return key in self.puts or self.deletes.covers(key)


class _Spans:
    """A union of ranges of keys: the sorted edges of disjoint ones, so that starts stand at even places.

    A request may nest tens of thousands of deletions: comparing each with each would hold up the node.
    """

    def __init__(self) -> None:
        self._edges: list[bytes] = []

    def add(self, start: bytes, stop: bytes) -> None:
        """start <= key < stop; nothing if it ends before it starts."""
        if start >= stop:
            return
        edges = self._edges
        first, last = bisect_left(edges, start), bisect_right(edges, stop)
        start_is_outside, stop_is_outside = first % 2 == 0, last % 2 == 0
        edges[first:last] = [start] * start_is_outside + [stop] * stop_is_outside

    def add_all(self, other: "_Spans") -> None:
        for start, stop in zip(other._edges[::2], other._edges[1::2], strict=True):
            self.add(start, stop)

    def covers(self, key: bytes) -> bool:
        return bisect_right(self._edges, key) % 2 == 1
