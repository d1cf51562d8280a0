"""Leases: replicated state, and no clock. Grants, renewals and ends are commands in the log; the store holds what they made.

LEASES: lease -> what was granted, the number of its last renewal, and what was left at the last checkpoint. LEASE_KEYS: lease
and key -> nothing, for each key that is attached. Versions keeps LEASE_KEYS: a key is attached while its newest version
names the lease.

Who measures time (replica.lessor) decides that a lease is to end, and says which renewal it has seen: a renewal that came
first in the log wins. It also says in which term it leads: what a deposed leader still sends ends nothing.
"""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from raftwerk.kv.commands import (
    LeaseCheckpoint,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
)
from raftwerk.kv.results import KvError, LeaseResult
from raftwerk.kv.steps import Slice, Steps
from raftwerk.kv.store import Store, Table

_ROW: Final = struct.Struct(">QQQ")
_ID: Final = struct.Struct(">q")
_NUMBER: Final = b"lease_number"
_TERM: Final = b"lease_term"
ALL_ROWS: Final = 2**62
"""More than there are."""


class Lease(NamedTuple):
    """number: of its grant or last renewal, unlike that of any other. remaining_s: by the last checkpoint; 0: there is none."""

    ttl_s: int
    number: int
    remaining_s: int = 0


Deletion: TypeAlias = Steps[int]
"""The keys of a lease are being deleted in slices; the store's revision after that."""

OnChange = Callable[[int, Lease | None], None]
"""Called with a lease that was granted, renewed or checkpointed, or with None when it ended."""


def lease_row(lease_id: int) -> bytes:
    """The key of a LEASES row, and what the keys of its LEASE_KEYS rows begin with."""
    return _ID.pack(lease_id)


def _span(lease_id: int, first_key: bytes) -> tuple[bytes, bytes | None]:
    """Of the LEASE_KEYS rows of a lease, from a key on: (first, stop)."""
    start = lease_row(lease_id)
    # Not the next lease's row: there is none after the last
    stop = (int.from_bytes(start, "big") + 1).to_bytes(9, "big")[1:] if start != _LAST else None
    return start + first_key, stop


class Leases:
    """All leases of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.on_change: OnChange | None = None
        self.load()

    def load(self) -> None:
        """The store's rows were replaced, or are new."""
        self._last_number = self._kept_number = self._meta(_NUMBER)
        self.term = self._kept_term = self._meta(_TERM)
        """Of the leader that may end leases."""

    def _meta(self, name: bytes) -> int:
        return int.from_bytes(self._store.get(Table.META, name) or b"", "big")

    def keep(self) -> None:
        """A checkpoint begins: what is in memory alone goes into it."""
        if self._last_number != self._kept_number:
            self._kept_number = self._last_number
            self._store.put(Table.META, _NUMBER, self._last_number.to_bytes(8, "big"))
        if self.term != self._kept_term:
            self._kept_term = self.term
            self._store.put(Table.META, _TERM, self.term.to_bytes(8, "big"))

    # Reading

    def find(self, lease_id: int) -> Lease | None:
        data = self._store.get(Table.LEASES, lease_row(lease_id))
        return None if data is None else Lease._make(_ROW.unpack(data))

    def some(self, after: int | None, max_rows: int) -> tuple[list[tuple[int, Lease]], int | None]:
        """Leases in the store's order, from behind one of them, of so many rows. Returns also behind which one to go on, which
        may not be there any more; None: these are the last.
        """
        start = b"" if after is None else lease_row(after) + b"\0"
        rows, _, last = self._some_rows(Table.LEASES, start, None, max_rows)
        found = [(_ID.unpack(row)[0], Lease._make(_ROW.unpack(data))) for row, data in rows]
        return found, None if last is None else _ID.unpack(last)[0]

    def keys(self, lease_id: int) -> list[bytes]:
        """The keys that are attached, in order."""
        return self.some_keys(lease_id, None, ALL_ROWS)[0]

    def first_key(self, lease_id: int, part: Slice, start: bytes) -> Steps[bytes | None]:
        """The first of them from `start` on."""
        first, stop = _span(lease_id, start)
        while True:
            for row, data in self._store.scan_with_gaps(Table.LEASE_KEYS, first, stop):
                if not part.left:
                    first = row
                    break
                part.take(1)
                if data is not None:
                    return row[_ID.size :]
            else:
                return None
            yield
            part.renew()

    def some_keys(
        self, lease_id: int, after: bytes | None, max_rows: int
    ) -> tuple[list[bytes], int, bytes | None]:
        """Keys that are attached, like `some`. Returns also how many rows that were, with those of keys that just were."""
        start, stop = _span(lease_id, b"" if after is None else after + b"\0")
        rows, passed, last = self._some_rows(Table.LEASE_KEYS, start, stop, max_rows)
        keys = [row[_ID.size :] for row, _ in rows]
        return keys, passed, None if last is None else last[_ID.size :]

    def _some_rows(
        self, table: Table, start: bytes, stop: bytes | None, max_rows: int
    ) -> tuple[list[tuple[bytes, bytes]], int, bytes | None]:
        """max_rows: 1 at least."""
        assert max_rows > 0, "nobody would know where to go on"
        found: list[tuple[bytes, bytes]] = []
        passed = 0
        last: bytes | None = None
        for row, data in self._store.scan_with_gaps(table, start, stop):
            if passed == max_rows:
                return found, passed, last
            passed += 1
            last = row
            if data is not None:
                found.append((row, data))
        return found, passed, None

    # Commands

    def execute(
        self, command: LeaseCommand, revision: int, delete: Callable[[int], Deletion]
    ) -> LeaseResult | KvError | Steps[LeaseResult]:
        """delete: deletes the keys of a lease under one revision. What ends leases is a generator, as it is."""
        if isinstance(command, LeaseRenew):
            return self._renew(command.lease_id, revision)
        if isinstance(command, LeaseGrant):
            return self._grant(command, revision)
        if isinstance(command, LeaseRevoke):
            if self.find(command.lease_id) is None:
                return KvError.LEASE_NOT_FOUND
            return self._revoke(command.lease_id, delete)
        if isinstance(command, LeaseExpire):
            return self._expire(command, revision, delete)
        if isinstance(command, LeaseCheckpoint):
            self._checkpoint(command)
        else:
            assert isinstance(command, LeaseLead)
            self.term = max(self.term, command.term)
        return LeaseResult(revision)

    def _grant(self, command: LeaseGrant, revision: int) -> LeaseResult | KvError:
        if self.find(command.lease_id) is not None:
            return KvError.LEASE_EXISTS
        self._set(command.lease_id, Lease(command.ttl_s, self._next_number()))
        return LeaseResult(revision, command.lease_id, command.ttl_s)

    def _renew(self, lease_id: int, revision: int) -> LeaseResult | KvError:
        lease = self.find(lease_id)
        if lease is None:
            return KvError.LEASE_NOT_FOUND
        self._set(lease_id, Lease(lease.ttl_s, self._next_number()))
        return LeaseResult(revision, lease_id, lease.ttl_s)

    def _revoke(self, lease_id: int, delete: Callable[[int], Deletion]) -> Steps[LeaseResult]:
        return LeaseResult((yield from self._end(lease_id, delete)), lease_id)

    def _expire(
        self, command: LeaseExpire, revision: int, delete: Callable[[int], Deletion]
    ) -> Steps[LeaseResult]:
        if command.term == self.term:
            for lease_id, number in command.leases:
                lease = self.find(lease_id)
                if lease is not None and lease.number == number:
                    revision = yield from self._end(lease_id, delete)
        return LeaseResult(revision)

    def _end(self, lease_id: int, delete: Callable[[int], Deletion]) -> Deletion:
        """The lease first, at once: nobody sees one that has lost some of its keys."""
        self._store.delete(Table.LEASES, lease_row(lease_id))
        if self.on_change is not None:
            self.on_change(lease_id, None)
        return delete(lease_id)

    def _checkpoint(self, command: LeaseCheckpoint) -> None:
        if command.term == self.term:
            for lease_id, number, remaining_s in command.leases:
                lease = self.find(lease_id)
                if lease is not None and lease.number == number:
                    self._set(lease_id, Lease(lease.ttl_s, number, remaining_s))

    def _set(self, lease_id: int, lease: Lease) -> None:
        self._store.put(Table.LEASES, lease_row(lease_id), _ROW.pack(*lease))
        if self.on_change is not None:
            self.on_change(lease_id, lease)

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number


_LAST: Final = b"\xff" * _ID.size
