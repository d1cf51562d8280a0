"""A transaction's request as the machine's command: checked, in etcd's order and words, and translated in one pass.

Each look at a field of a protobuf message costs as much as many at one of a command; whatever else is asked of a transaction is
asked of its command.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.kv.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Operation,
    Put,
    RangeQuery,
    Txn,
)
from raftwerk.server import validate
from raftwerk.server.translate import delete_command, put_command, range_query

_OPERANDS: Final = {
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
    CompareTarget.VALUE: "value",
    CompareTarget.LEASE: "lease",
}


def txn_command(request: rpc_pb2.TxnRequest, ops_max: int) -> Txn | Status:
    """The command, or why it is refused.

    ops_max: of comparisons, or operations of a branch; nested transactions share what those around them leave.
    """
    txn = _txn(request, ops_max)
    if txn is status.UNKNOWN_COMPARE:  # not etcd's: what etcd refuses is said first
        refused = txn_command(_with_known_comparisons(request), ops_max)
        return refused if isinstance(refused, Status) else txn
    if isinstance(txn, Txn):
        for branch in (txn.success, txn.failure):
            if _Writes().collect(branch) is None:
                return status.DUPLICATE_KEY
    return txn


def _txn(request: rpc_pb2.TxnRequest, ops_max: int) -> Txn | Status:
    ops = max(len(request.compare), len(request.success), len(request.failure))
    if ops > ops_max:
        return status.TOO_MANY_OPS
    compares: list[Compare] = []
    for item in request.compare:
        compare = _compare(item)
        if isinstance(compare, Status):
            return compare
        compares.append(compare)
    success = _branch(request.success, ops_max - ops)
    if isinstance(success, Status):
        return success
    failure = _branch(request.failure, ops_max - ops)
    if isinstance(failure, Status):
        return failure
    return Txn(tuple(compares), tuple(success), tuple(failure))


def _compare(item: rpc_pb2.Compare) -> Compare | Status:
    if not item.key:
        return status.EMPTY_KEY
    if not _is_known(item):
        return status.UNKNOWN_COMPARE
    target = CompareTarget(item.target)
    operand: int | bytes = getattr(item, _OPERANDS[target])
    return Compare(target, CompareResult(item.result), item.key, operand, item.range_end)


def _is_known(item: rpc_pb2.Compare) -> bool:
    return 0 <= item.target <= CompareTarget.LEASE and 0 <= item.result <= CompareResult.NOT_EQUAL


def _with_known_comparisons(request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnRequest:
    """The same, but for comparisons that are not known, nested ones included: of those, others."""
    known = rpc_pb2.TxnRequest()
    known.CopyFrom(request)
    waiting = [known]
    while waiting:
        txn = waiting.pop()
        for item in txn.compare:
            if not _is_known(item):
                item.target = rpc_pb2.Compare.VERSION
                item.result = rpc_pb2.Compare.EQUAL
        operations = (*txn.success, *txn.failure)
        waiting += [one.request_txn for one in operations if one.HasField("request_txn")]
    return known


def _branch(operations: Sequence[rpc_pb2.RequestOp], ops_max: int) -> list[Operation] | Status:
    commands: list[Operation] = []
    for operation in operations:
        command = _operation(operation, ops_max)
        if isinstance(command, Status):
            return command
        commands.append(command)
    return commands


def _operation(operation: rpc_pb2.RequestOp, ops_max: int) -> Operation | Status:
    kind = operation.WhichOneof("request")
    if kind == "request_put":
        put = operation.request_put
        return validate.check_put(put) or put_command(put)
    if kind == "request_range":
        query = operation.request_range
        return validate.check_range(query) or range_query(query)
    if kind == "request_delete_range":
        delete = operation.request_delete_range
        return validate.check_delete_range(delete) or delete_command(delete)
    if kind == "request_txn":
        return _txn(operation.request_txn, ops_max)
    return status.KEY_NOT_FOUND  # an empty operation: etcd's answer


# What is asked of a transaction, nested ones included


def is_read_only(txn: Txn) -> bool:
    """Whether no operation can write."""
    for operation in (*txn.success, *txn.failure):
        if isinstance(operation, Txn):
            if not is_read_only(operation):
                return False
        elif not isinstance(operation, RangeQuery):
            return False
    return True


def has_put(txn: Txn) -> bool:
    """Whether an operation needs room."""
    for operation in (*txn.success, *txn.failure):
        if has_put(operation) if isinstance(operation, Txn) else isinstance(operation, Put):
            return True
    return False


def has_range(txn: Txn) -> bool:
    """Whether it looks at more than single keys, so that nothing but the store's size bounds what it reads."""
    for compare in txn.compares:
        if compare.range_end:
            return True
    for operation in (*txn.success, *txn.failure):
        if isinstance(operation, Txn):
            if has_range(operation):
                return True
        elif not isinstance(operation, Put) and operation.range_end:
            return True
    return False


def is_serializable(request: rpc_pb2.TxnRequest) -> bool:
    """Whether a transaction that only reads does read, and every read is content with this member's state.

    Commands do not say that: no read is replicated.
    """
    operations = (*request.success, *request.failure)
    return bool(operations) and all(
        operation.request_range.serializable
        if operation.HasField("request_range")
        else is_serializable(operation.request_txn)
        for operation in operations
    )


class _Writes:
    """The keys that one branch writes: none may be put twice, or deleted and put."""

    def __init__(self) -> None:
        self.puts: set[bytes] = set()
        self.deletes = _Spans()

    def collect(self, operations: Sequence[Operation]) -> "_Writes | None":
        """Take in the operations of a branch; None if they collide."""
        for operation in operations:
            if isinstance(operation, DeleteRange):
                # As etcd does here: a range_end of "\0" is a plain end, so that nothing lies before it
                self.deletes.add(operation.key, operation.range_end or operation.key + b"\0")
        for operation in operations:
            if isinstance(operation, Txn) and not self._add_txn(operation):
                return None
        for operation in operations:
            if isinstance(operation, Put) and not self._add_put(operation.key):
                return None
        return self

    def _add_txn(self, nested: Txn) -> bool:
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
