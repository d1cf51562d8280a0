"""Execution of Put, DeleteRange and Txn: all checks first, then all writes, under one revision.

Every member runs the same checks on every operation of the branch that is taken, reads too: they come to the same answer
or the same refusal everywhere (etcd's issue 18667 is what happens otherwise).
"""

from collections.abc import Callable, Sequence

from raftwerk.kv import compare
from raftwerk.kv.commands import (
    Compare,
    CompareTarget,
    DeleteRange,
    Operation,
    Put,
    RangeQuery,
    Txn,
)
from raftwerk.kv.lease import Leases
from raftwerk.kv.read import RangeScan, read_key
from raftwerk.kv.results import DeleteRangeResult, KvError, PutResult, RangeResult, TxnResult
from raftwerk.kv.rows import ROW_BYTES, KeyRow
from raftwerk.kv.steps import Slice, Steps
from raftwerk.kv.store import Table
from raftwerk.kv.versions import NEWEST, Versions, bound, bounds

Branch = list["Operation | tuple[Txn, bool, Branch]"]
"""The operations of the branch that is taken; a nested Txn with what its comparison gave, and its own branch."""


class Execution:
    """One command. What may look at many keys does about a slice in each step.

    A writer reads what it has written. Everybody else reads at a revision, and so sees nothing of it until it is complete.
    """

    def __init__(
        self,
        versions: Versions,
        leases: Leases,
        revision: int,
        compacted_revision: int,
        slice_: Slice,
        *,
        read_revision: int = NEWEST,
    ) -> None:
        """revision: of the store before the command. read_revision: what is read where the command does not say.

        slice_: other commands may share it.
        """
        self._versions = versions
        self._leases = leases
        self._before = revision
        self._compacted = compacted_revision
        self._read_revision = read_revision
        self._bound = bound(read_revision)
        self._sub = 0
        self._slice = slice_

    @property
    def revision(self) -> int:
        """Of the store after what has been written so far."""
        return self._before + 1 if self._sub else self._before

    def _pause(self) -> Steps[None]:
        """The slice is over."""
        yield
        self._slice.renew()

    # Checks: nothing is written before all of them have passed

    def _choose(self, txn: Txn) -> Steps[tuple[bool, Branch]]:
        """Which operations will run: all comparisons, nested ones too, are made on the state before the first write."""
        succeeded = True
        for item in txn.compares:
            if not self._slice.left:
                yield from self._pause()
            succeeded = (yield from self._holds(item)) if item.range_end else self._key_holds(item)
            if not succeeded:
                break
        branch: Branch = []
        for operation in txn.success if succeeded else txn.failure:
            branch.append(
                (operation, *(yield from self._choose(operation)))
                if isinstance(operation, Txn)
                else operation
            )
        return succeeded, branch

    def _key_holds(self, item: Compare) -> bool:
        """Whether a comparison of one key is true.

        A missing key compares as one whose numbers are all zero; its value compares to nothing, so that is always false.
        """
        data = self._versions.store.get(Table.KEYS, item.key)
        row = None if data is None else self._versions.at(data, self._bound)
        operand = compare.operand_of(self._versions, item, row)
        if isinstance(operand, bytes):
            self._slice.take(len(operand) // ROW_BYTES)
        return compare.holds(item, operand)

    def _holds(self, item: Compare) -> Steps[bool]:
        """Whether a comparison is true of every key in its range; of an empty one, as of a missing key."""
        is_empty = True
        start, stop = bounds(item.key, item.range_end)
        next_key: bytes | None = start
        while next_key is not None:
            rows, next_key = self._some_rows(next_key, stop)
            for _, row in rows:
                is_empty = False
                operand = compare.operand_of(self._versions, item, row)
                if isinstance(operand, bytes):
                    yield from self._count(operand)
                if not compare.holds(item, operand):
                    return False
            if next_key is not None:
                yield from self._pause()
        missing = compare.operand_of(self._versions, item, None)
        return not is_empty or compare.holds(item, missing)

    def _count(self, data: bytes) -> Steps[None]:
        """That was read: if it is large, it counts as more rows."""
        if len(data) >= ROW_BYTES:
            if not self._slice.left:
                yield from self._pause()
            self._slice.take(len(data) // ROW_BYTES)

    def _some_rows(
        self, start: bytes, stop: bytes | None
    ) -> tuple[list[tuple[bytes, KeyRow]], bytes | None]:
        """As many keys that are there as the slice has room for, and where to go on; None: these are all."""
        found: list[tuple[bytes, KeyRow]] = []
        at, left = self._versions.at, self._slice.left
        for key, data in self._versions.store.scan_with_gaps(Table.KEYS, start, stop):
            if left <= 0:
                self._slice.left = 0
                return found, key
            left -= 1
            row = None if data is None else at(data, self._bound)
            if row is not None:
                found.append((key, row))
        self._slice.left = left
        return found, None

    def _check(self, branch: Branch) -> KvError | None:
        """The first reason why the branch cannot run. As in etcd: all puts are looked at before all ranges."""
        operations = _flat(branch)
        for operation in operations:
            if isinstance(operation, Put) and (error := self.check_put(operation)):
                return error
        for operation in operations:
            if isinstance(operation, RangeQuery) and (error := self._check_range(operation)):
                return error
        return None

    def _check_range(self, query: RangeQuery) -> KvError | None:
        # Here etcd does not take a negative revision for the newest one
        return self.check_revision(query.revision) if query.revision else None

    def check_revision(self, revision: int) -> KvError | None:
        if revision > self._before:
            return KvError.FUTURE_REVISION
        return KvError.COMPACTED if revision < self._compacted else None

    def check_put(self, put: Put, *, lease_first: bool = False) -> KvError | None:
        """lease_first: etcd's order for a Put by itself; in a Txn it looks for the key first."""
        if not (put.lease or put.ignore_value or put.ignore_lease):
            return None
        has_lease = not put.lease or self._leases.find(put.lease) is not None
        lease_error = None if has_lease else KvError.LEASE_NOT_FOUND
        needs_key = put.ignore_value or put.ignore_lease
        key_error = (
            KvError.KEY_NOT_FOUND if needs_key and self._versions.newest(put.key) is None else None
        )
        return lease_error or key_error if lease_first else key_error or lease_error

    # Execution

    def transact(self, txn: Txn) -> Steps[TxnResult | KvError]:
        succeeded, branch = yield from self._choose(txn)
        return self._check(branch) or (yield from self._run(succeeded, branch))

    def _run(self, succeeded: bool, branch: Branch) -> Steps[TxnResult]:
        responses: list[RangeResult | PutResult | DeleteRangeResult | TxnResult] = []
        for operation in branch:
            if not self._slice.left:
                yield from self._pause()
            self._slice.left -= 1
            if isinstance(operation, tuple):
                responses.append((yield from self._run(operation[1], operation[2])))
            elif isinstance(operation, RangeQuery):
                responses.append(
                    (yield from self._range(operation))
                    if operation.range_end
                    else self._get(operation)
                )
            elif isinstance(operation, Put):
                responses.append(self.put(operation))
            else:
                assert isinstance(operation, DeleteRange)
                responses.append((yield from self.delete_range(operation)))
        return TxnResult(self.revision, succeeded, responses)

    def _get(self, query: RangeQuery) -> RangeResult:
        read_revision = query.revision if query.revision > 0 else self._read_revision
        result = read_key(self._versions, query, read_revision, self.revision)
        for kv in result.kvs:
            self._slice.take(len(kv) // ROW_BYTES)
        return result

    def _range(self, query: RangeQuery) -> Steps[RangeResult]:
        read_revision = query.revision if query.revision > 0 else self._read_revision
        scan = RangeScan(self._versions, query, read_revision, self.revision)
        while (found := scan.step(self._slice.left)) is None:
            yield from self._pause()
        self._slice.left = scan.rows_left
        return found

    def put(self, put: Put) -> PutResult:
        versions = self._versions
        value, lease = put.value, put.lease
        prev_kv = None
        if put.prev_kv or put.ignore_value or put.ignore_lease:
            row = versions.newest(put.key)
            if row is not None:
                if put.prev_kv:
                    prev_kv = versions.key_value(row)
                    self._slice.take(len(prev_kv) // ROW_BYTES)
                if put.ignore_value:
                    value = versions.decoded(row).value
                    self._slice.take(len(value) // ROW_BYTES)
                if put.ignore_lease:
                    lease = row.lease
            # else a deletion "from key on" in the same Txn, which validation lets pass as etcd's does: etcd crashes here
        versions.put(put.key, value, lease, self._before + 1, self._sub)
        self._sub += 1
        return PutResult(self.revision, prev_kv)

    def delete_range(self, delete: DeleteRange) -> Steps[DeleteRangeResult]:
        versions = self._versions
        deleted = 0
        prev_kvs: list[bytes] = []
        start, stop = bounds(delete.key, delete.range_end)
        next_key: bytes | None = start
        while next_key is not None:
            if delete.range_end:
                doomed, next_key = self._some_rows(next_key, stop)
            else:
                row, next_key = versions.newest(delete.key), None
                doomed = [(delete.key, row)] if row is not None else []
            deleted += len(doomed)
            if delete.prev_kv:
                prev_kvs += yield from self._key_values(doomed)
            self.delete_keys([key for key, _ in doomed])
            if next_key is not None:
                yield from self._pause()
        return DeleteRangeResult(self.revision, deleted, prev_kvs)

    def _key_values(self, rows: list[tuple[bytes, KeyRow]]) -> Steps[list[bytes]]:
        found = []
        for _, row in rows:
            kv = self._versions.key_value(row)
            found.append(kv)
            yield from self._count(kv)
        return found

    def delete_leased(self, lease_id: int) -> Steps[int]:
        """Delete the keys of a lease. Returns the revision after that; what follows gets one of its own."""
        after: bytes | None = None
        while True:
            if not self._slice.left:  # perhaps by other leases
                yield from self._pause()
            keys, passed, after = self._leases.some_keys(lease_id, after, self._slice.left)
            self.delete_keys(keys)
            self._slice.take(max(1, passed))
            if after is None:
                break
        self._before, self._sub = self.revision, 0
        return self._before

    def delete_keys(self, keys: Sequence[bytes]) -> None:
        """Delete keys that are there."""
        for key in keys:
            self._versions.delete(key, self._before + 1, self._sub)
            self._sub += 1


class TxnScan:
    """A transaction that only reads, in progress: comparisons and ranges are of one revision, which must stay readable."""

    def __init__(
        self, execution: Execution, slice_: Slice, txn: Txn, on_close: Callable[[], None]
    ) -> None:
        """execution: one that reads at a revision, with this slice. on_close: unpins."""
        self._slice = slice_
        self._on_close = on_close
        self._steps: Steps[TxnResult | KvError] = execution.transact(txn)

    def step(self, max_rows: int) -> TxnResult | KvError | None:
        """Do at most about max_rows rows of work. Returns the answer when it is complete, else None: call again."""
        self._slice.rows = self._slice.left = max_rows
        try:
            next(self._steps)
        except StopIteration as end:
            self.close()
            result: TxnResult | KvError = end.value
            return result
        return None

    def close(self) -> None:
        """Unpin, also when the reader gives up before the end."""
        self._on_close()


def _flat(branch: Branch) -> "list[Operation]":
    """The operations, those of nested transactions in their places."""
    operations: list[Operation] = []
    for operation in branch:
        if isinstance(operation, tuple):
            operations += _flat(operation[2])
        else:
            operations.append(operation)
    return operations


def is_sound(txn: Txn) -> bool:
    """Whether every comparison compares like with like: the types do not say so."""
    for item in txn.compares:
        if isinstance(item.operand, bytes) is not (item.target is CompareTarget.VALUE):
            return False
    for branch in (txn.success, txn.failure):
        for operation in branch:
            if isinstance(operation, Txn) and not is_sound(operation):
                return False
    return True
