"""The checks that need no state: what is refused before anything is proposed, in etcd's order and words."""

from collections.abc import Sequence
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.kv.versions import bounds

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
    """The keys that one branch writes: none may be put twice, or put and deleted."""

    def __init__(self) -> None:
        self.puts: set[bytes] = set()
        self.deletes: list[tuple[bytes, bytes | None]] = []

    def collect(self, operations: Sequence[rpc_pb2.RequestOp]) -> "_Writes | None":
        """Take in the operations of a branch; None if they collide."""
        for operation in operations:
            if operation.HasField("request_delete_range"):
                delete = operation.request_delete_range
                self.deletes.append(bounds(delete.key, delete.range_end))
        for operation in operations:
            if operation.HasField("request_txn"):
                # Only one branch of a nested transaction runs: they may write the same keys, but none that others write
                nested = operation.request_txn
                branches = [
                    _Writes().collect(branch) for branch in (nested.success, nested.failure)
                ]
                if not self._add_branches(branches):
                    return None
        for operation in operations:
            if operation.HasField("request_put") and not self._add_put(operation.request_put.key):
                return None
        return self

    def _add_branches(self, branches: "list[_Writes | None]") -> bool:
        puts: set[bytes] = set()
        deletes: list[tuple[bytes, bytes | None]] = []
        for branch in branches:
            if branch is None or any(self._collides(key) for key in branch.puts):
                return False
            if any(_covers(span, key) for span in branch.deletes for key in self.puts):
                return False
            puts |= branch.puts
            deletes += branch.deletes
        self.puts |= puts
        self.deletes += deletes
        return True

    def _add_put(self, key: bytes) -> bool:
        if self._collides(key):
            return False
        self.puts.add(key)
        return True

    def _collides(self, key: bytes) -> bool:
        return key in self.puts or any(_covers(span, key) for span in self.deletes)


def _covers(span: tuple[bytes, bytes | None], key: bytes) -> bool:
    start, stop = span
    return start <= key and (stop is None or key < stop)
