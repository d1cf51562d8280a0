"""Execution of Put, DeleteRange and Txn: all checks first, then all writes, under one revision.

Every member runs the same checks on every operation of the branch that is taken, reads too: they come to the same answer
or the same refusal everywhere (etcd's issue 18667 is what happens otherwise).
"""

from collections.abc import Callable, Generator, Iterator, Sequence

from raftwerk.kv import compare
from raftwerk.kv.commands import Compare, DeleteRange, Operation, Put, RangeQuery, Txn
from raftwerk.kv.lease import Leases
from raftwerk.kv.read import RangeScan, read_key, read_range
from raftwerk.kv.results import DeleteRangeResult, KvError, PutResult, RangeResult, TxnResult
from raftwerk.kv.store import Table
from raftwerk.kv.versions import Versions, bound, bounds

Branch = list["Operation | tuple[Txn, bool, Branch]"]
"""The operations of the branch that is taken; a nested Txn with what its comparison gave, and its own branch."""


class Execution:
    """One command that may write. revision: of the store before it."""

    def __init__(
        self, versions: Versions, leases: Leases, revision: int, compacted_revision: int
    ) -> None:
        self._versions = versions
        self._leases = leases
        self._before = revision
        self._compacted = compacted_revision
        self._sub = 0

    @property
    def revision(self) -> int:
        """Of the store after what has been written so far."""
        return self._before + 1 if self._sub else self._before

    # Checks: nothing is written before all of them have passed

    def choose(self, txn: Txn) -> tuple[bool, Branch]:
        """Which operations will run: all comparisons, nested ones too, are made on the state before the first write."""
        succeeded = all(compare.holds(self._versions, item) for item in txn.compares)
        branch: Branch = []
        for operation in txn.success if succeeded else txn.failure:
            branch.append(
                (operation, *self.choose(operation)) if isinstance(operation, Txn) else operation
            )
        return succeeded, branch

    def check(self, branch: Branch) -> KvError | None:
        """The first reason why the branch cannot run. As in etcd: all puts are looked at before all ranges."""
        operations = list(_flat(branch))
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

    def run(self, succeeded: bool, branch: Branch) -> TxnResult:
        responses: list[RangeResult | PutResult | DeleteRangeResult | TxnResult] = []
        for operation in branch:
            if isinstance(operation, tuple):
                responses.append(self.run(operation[1], operation[2]))
            elif isinstance(operation, RangeQuery):
                responses.append(read_range(self._versions, operation, self.revision))
            elif isinstance(operation, Put):
                responses.append(self.put(operation))
            else:
                assert isinstance(operation, DeleteRange)
                responses.append(self.delete_range(operation))
        return TxnResult(self.revision, succeeded, responses)

    def put(self, put: Put) -> PutResult:
        versions = self._versions
        value, lease = put.value, put.lease
        prev_kv = None
        if put.prev_kv or put.ignore_value or put.ignore_lease:
            row = versions.newest(put.key)
            if row is not None:
                if put.prev_kv:
                    prev_kv = versions.key_value(row)
                if put.ignore_value:
                    value = versions.decoded(row).value
                if put.ignore_lease:
                    lease = row.lease
            # else a deletion "from key on" in the same Txn, which validation lets pass as etcd's does: etcd crashes here
        versions.put(put.key, value, lease, self._before + 1, self._sub)
        self._sub += 1
        return PutResult(self.revision, prev_kv)

    def delete_range(self, delete: DeleteRange) -> DeleteRangeResult:
        versions = self._versions
        start, stop = bounds(delete.key, delete.range_end)
        if delete.range_end:
            doomed = list(versions.scan(start, stop))
        else:
            row = versions.newest(delete.key)
            doomed = [(delete.key, row)] if row is not None else []
        prev_kvs = [versions.key_value(row) for _, row in doomed] if delete.prev_kv else []
        self.delete_keys([key for key, _ in doomed])
        return DeleteRangeResult(self.revision, len(doomed), prev_kvs)

    def delete_keys(self, keys: Sequence[bytes]) -> None:
        """Delete keys that are there."""
        for key in keys:
            self._versions.delete(key, self._before + 1, self._sub)
            self._sub += 1


class TxnScan:
    """A transaction that only reads, in progress: comparisons and ranges are of one revision, which must stay readable."""

    def __init__(
        self,
        versions: Versions,
        txn: Txn,
        revision: int,
        check: Callable[[Branch], KvError | None],
        on_close: Callable[[], None],
    ) -> None:
        """check: Execution's, as of now. on_close: unpins."""
        self._versions = versions
        self._revision = revision
        self._bound = bound(revision)
        self._check = check
        self._on_close = on_close
        self._rows_left = 0
        self._steps = self._run(txn)

    def step(self, max_rows: int) -> TxnResult | KvError | None:
        """Do at most about max_rows rows of work. Returns the answer when it is complete, else None: call again."""
        self._rows_left = max_rows
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

    def _run(self, txn: Txn) -> Generator[None, None, TxnResult | KvError]:
        succeeded, branch = yield from self._choose(txn)
        return self._check(branch) or (yield from self._read(succeeded, branch))

    def _choose(self, txn: Txn) -> Generator[None, None, tuple[bool, Branch]]:
        """As Execution.choose."""
        succeeded = True
        for item in txn.compares:
            succeeded = succeeded and (yield from self._holds(item))
        branch: Branch = []
        for operation in txn.success if succeeded else txn.failure:
            branch.append(
                (operation, *(yield from self._choose(operation)))
                if isinstance(operation, Txn)
                else operation
            )
        return succeeded, branch

    def _holds(self, item: Compare) -> Generator[None, None, bool]:
        """As compare.holds."""
        versions = self._versions
        start, stop = bounds(item.key, item.range_end)
        is_empty = True
        while True:
            for key, data in versions.store.scan(Table.KEYS, start, stop):
                if self._rows_left <= 0:
                    start = key
                    break
                self._rows_left -= 1
                row = versions.at(data, self._bound)
                if row is not None:
                    is_empty = False
                    if not compare.row_holds(versions, item, row):
                        return False
            else:
                return not is_empty or compare.row_holds(versions, item, None)
            yield

    def _read(self, succeeded: bool, branch: Branch) -> Generator[None, None, TxnResult]:
        """As Execution.run."""
        responses: list[RangeResult | PutResult | DeleteRangeResult | TxnResult] = []
        for operation in branch:
            if isinstance(operation, tuple):
                responses.append((yield from self._read(operation[1], operation[2])))
            else:
                assert isinstance(operation, RangeQuery), "a read-only transaction writes"
                responses.append((yield from self._range(operation)))
        return TxnResult(self._revision, succeeded, responses)

    def _range(self, query: RangeQuery) -> Generator[None, None, RangeResult]:
        revision = query.revision if query.revision > 0 else self._revision
        if not query.range_end:
            return read_key(self._versions, query, revision, self._revision)
        scan = RangeScan(self._versions, query, revision, self._revision)
        while (result := scan.step(self._rows_left)) is None:
            yield
        self._rows_left = scan.rows_left
        return result


def _flat(branch: Branch) -> Iterator[RangeQuery | Put | DeleteRange | Txn]:
    """The operations, those of nested transactions in their places."""
    for operation in branch:
        if isinstance(operation, tuple):
            yield from _flat(operation[2])
        else:
            yield operation


def has_ranges(txn: Txn) -> bool:
    """Whether it may look at many keys."""
    return any(item.range_end for item in txn.compares) or any(
        has_ranges(operation) if isinstance(operation, Txn) else _is_range(operation)
        for operation in (*txn.success, *txn.failure)
    )


def _is_range(operation: RangeQuery | Put | DeleteRange) -> bool:
    return not isinstance(operation, Put) and bool(operation.range_end)
