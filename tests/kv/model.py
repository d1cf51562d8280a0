"""etcd's multi-version semantics in the plainest way: every revision is a whole dictionary.

Written from etcd's documented behaviour and compared with etcd itself; slow, and simple enough to be checked by reading.
"""

from collections.abc import Iterator
from operator import attrgetter, eq, gt, lt, ne
from typing import NamedTuple, TypeAlias

import msgspec

from raftwerk.kv.commands import (
    Compact,
    Compare,
    CompareTarget,
    DeleteRange,
    LeaseCheckpoint,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    Put,
    RangeQuery,
    Txn,
)
from raftwerk.kv.results import KvError
from raftwerk.kv.rows import KeyValue

State: TypeAlias = dict[bytes, KeyValue]
MISSING = KeyValue(b"", 0, 0, 0, b"", 0)
RESULTS = (eq, gt, lt, ne)
COMPARED = ("version", "create_revision", "mod_revision", "value", "lease")
SORTED = ("key", "version", "create_revision", "mod_revision", "value")
ASCEND, DESCEND = 1, 2


class Range(NamedTuple):
    revision: int
    kvs: list[KeyValue]
    more: bool
    count: int


class Written(NamedTuple):
    """Of a put or a deletion."""

    revision: int
    deleted: int
    prev_kvs: list[KeyValue]


class Transaction(NamedTuple):
    revision: int
    succeeded: bool
    responses: list["Answer"]


class Leased(NamedTuple):
    """Of a lease command."""

    revision: int
    lease_id: int = 0
    ttl_s: int = 0


class Chosen(NamedTuple):
    """A transaction after its comparisons: what will run."""

    succeeded: bool
    operations: list["Operation"]


Operation: TypeAlias = RangeQuery | Put | DeleteRange | Chosen
Answer: TypeAlias = Range | Written | Transaction | Leased


def selected(state: State, key: bytes, range_end: bytes) -> list[KeyValue]:
    """The keys of a range, in order."""
    if not range_end:
        return [state[key]] if key in state else []
    is_open = range_end == b"\0"
    return [state[name] for name in sorted(state) if name >= key and (is_open or name < range_end)]


class Model:
    """A store."""

    def __init__(self) -> None:
        self.states: list[State] = [{}, {}]  # by revision: an empty store is at 1
        self.compacted = -1  # never
        self.leases: dict[int, tuple[int, int, int]] = {}  # seconds granted, renewal, seconds left
        self.renewals = 0
        self.lease_term = 0

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    def execute(
        self, command: RangeQuery | Put | DeleteRange | Txn | Compact | LeaseCommand
    ) -> Answer | KvError:
        if isinstance(command, Compact):
            return self._compact(command.revision)
        if isinstance(command, LeaseCommand):
            return self._lease(command)
        if isinstance(command, RangeQuery) and command.revision < 0:
            command = msgspec.structs.replace(command, revision=0)  # in a Txn it is an error
        if isinstance(command, Put) and command.lease and command.lease not in self.leases:
            return KvError.LEASE_NOT_FOUND  # in a Txn the key is looked for first
        operation = self._choose(command)
        error = next(self._errors(operation, Put), None) or next(
            self._errors(operation, RangeQuery), None
        )
        if error:
            return error
        self._now, self._is_written = dict(self.states[-1]), False
        answer = self._run(operation)
        if self._is_written:
            self.states.append(self._now)
        return answer

    def _compact(self, revision: int) -> Answer | KvError:
        if revision <= self.compacted:
            return KvError.COMPACTED
        if revision > self.revision:
            return KvError.FUTURE_REVISION
        self.compacted = revision
        return Written(self.revision, 0, [])

    # Leases

    def _lease(self, command: LeaseCommand) -> Answer | KvError:
        if isinstance(command, LeaseLead):
            self.lease_term = max(self.lease_term, command.term)
        elif isinstance(command, LeaseExpire):
            for lease_id, number in command.leases:
                if self._may_change(command.term, lease_id, number):
                    self._end_lease(lease_id)
        elif isinstance(command, LeaseCheckpoint):
            for lease_id, number, left in command.leases:
                if self._may_change(command.term, lease_id, number):
                    self.leases[lease_id] = self.leases[lease_id][0], number, left
        elif isinstance(command, LeaseGrant):
            if command.lease_id in self.leases:
                return KvError.LEASE_EXISTS
            return self._renew(command.lease_id, command.ttl_s)
        elif command.lease_id not in self.leases:
            return KvError.LEASE_NOT_FOUND
        elif isinstance(command, LeaseRenew):
            return self._renew(command.lease_id, self.leases[command.lease_id][0])
        else:
            self._end_lease(command.lease_id)
            return Leased(self.revision, command.lease_id)
        return Leased(self.revision)

    def _may_change(self, term: int, lease_id: int, number: int) -> bool:
        known = lease_id in self.leases and self.leases[lease_id][1] == number
        return term == self.lease_term and known

    def _renew(self, lease_id: int, ttl_s: int) -> Leased:
        self.renewals += 1
        self.leases[lease_id] = ttl_s, self.renewals, 0
        return Leased(self.revision, lease_id, ttl_s)

    def _end_lease(self, lease_id: int) -> None:
        del self.leases[lease_id]
        kept = {key: kv for key, kv in self.states[-1].items() if kv.lease != lease_id}
        if kept != self.states[-1]:
            self.states.append(kept)

    # Before anything is written: comparisons, then checks

    def _choose(self, operation: "Operation | Txn") -> Operation:
        if not isinstance(operation, Txn):
            return operation
        succeeded = all(map(self._holds, operation.compares))
        branch = operation.success if succeeded else operation.failure
        return Chosen(succeeded, [self._choose(item) for item in branch])

    def _holds(self, item: Compare) -> bool:
        found = selected(self.states[-1], item.key, item.range_end)
        if not found and item.target is CompareTarget.VALUE:
            return False
        field = attrgetter(COMPARED[item.target])
        return all(RESULTS[item.result](field(kv), item.operand) for kv in found or [MISSING])

    def _errors(self, operation: Operation, kind: type) -> Iterator[KvError]:
        if isinstance(operation, Chosen):
            for item in operation.operations:
                yield from self._errors(item, kind)
        elif kind is RangeQuery and isinstance(operation, RangeQuery):
            if operation.revision > self.revision:
                yield KvError.FUTURE_REVISION
            elif operation.revision and operation.revision < self.compacted:
                yield KvError.COMPACTED
        elif kind is Put and isinstance(operation, Put):
            is_partial = operation.ignore_value or operation.ignore_lease
            if is_partial and operation.key not in self.states[-1]:
                yield KvError.KEY_NOT_FOUND
            elif operation.lease and operation.lease not in self.leases:
                yield KvError.LEASE_NOT_FOUND

    # Execution

    def _run(self, operation: Operation) -> Answer:
        if isinstance(operation, Chosen):
            answers = [self._run(item) for item in operation.operations]
            return Transaction(self._revision_now(), operation.succeeded, answers)
        if isinstance(operation, RangeQuery):
            return self._range(operation)
        return self._put(operation) if isinstance(operation, Put) else self._delete(operation)

    def _revision_now(self) -> int:
        return self.revision + self._is_written

    def _put(self, put: Put) -> Written:
        old = self._now.get(put.key)
        self._is_written = True
        value = old.value if old and put.ignore_value else put.value
        revision = self.revision + 1
        create, version = (old.create_revision, old.version + 1) if old else (revision, 1)
        lease = old.lease if old and put.ignore_lease else put.lease
        self._now[put.key] = KeyValue(put.key, create, revision, version, value, lease)
        return Written(revision, 0, [old] if old and put.prev_kv else [])

    def _delete(self, delete: DeleteRange) -> Written:
        doomed = selected(self._now, delete.key, delete.range_end)
        for kv in doomed:
            self._is_written = True
            del self._now[kv.key]
        return Written(self._revision_now(), len(doomed), doomed if delete.prev_kv else [])

    def _range(self, query: RangeQuery) -> Range:
        state = self.states[query.revision] if query.revision > 0 else self._now
        found = selected(state, query.key, query.range_end)
        if query.count_only:
            return Range(self._revision_now(), [], False, len(found))
        kvs = [kv for kv in found if passes(kv, query)]
        if query.limit > 0 and not query.sort_order and not any(filters(query)):
            kvs = kvs[: query.limit + 1]  # etcd reads no more when nobody asked for an order
        if query.sort_order or query.sort_target:
            field = attrgetter(SORTED[query.sort_target])
            kvs.sort(key=field, reverse=query.sort_order == DESCEND)
        limit = query.limit if query.limit > 0 else len(kvs)
        more = len(kvs) > limit
        kvs = [kv._replace(value=b"") if query.keys_only else kv for kv in kvs[:limit]]
        return Range(self._revision_now(), kvs, more, len(found))


def filters(query: RangeQuery) -> tuple[int, int, int, int]:
    """Bounds of the revisions; 0: no bound."""
    return (
        query.min_mod_revision,
        query.max_mod_revision,
        query.min_create_revision,
        query.max_create_revision,
    )


def passes(kv: KeyValue, query: RangeQuery) -> bool:
    min_mod, max_mod, min_create, max_create = filters(query)
    return (
        (not min_mod or kv.mod_revision >= min_mod)
        and (not max_mod or kv.mod_revision <= max_mod)
        and (not min_create or kv.create_revision >= min_create)
        and (not max_create or kv.create_revision <= max_create)
    )
