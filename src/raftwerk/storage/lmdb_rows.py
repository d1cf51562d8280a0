"""Tables of rows in an LMDB environment, through one transaction, with keys of any length.

LMDB limits keys to 511 bytes, etcd does not. A key of more than SHORT_BYTES stands, with all others that begin with the
same SHORT_BYTES, in a bucket: one LMDB row under that beginning and a zero byte, which holds the rest of each key and its
value, in order. It sorts after the short key that is its beginning and before everything greater, so scans stay in order.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from raftwerk.kv.store import Table

SHORT_BYTES: Final = 500
META_PAGES: Final = 2
"""That LMDB begins a file with."""

Bucket = list[tuple[bytes, bytes]]

_decode_bucket: Final = msgspec.msgpack.Decoder(Bucket).decode
_encode_bucket: Final = msgspec.msgpack.Encoder().encode


Tables = list[Any]
"""LMDB's handles, by number of the table: good as long as the environment is open."""


def open_tables(environment: Any) -> Tables:
    """The tables of an environment that was just opened; they are made if they are not there.

    Once for each environment: this takes its write transaction, which a checkpoint holds for long.
    """
    can_write = not environment.flags()["readonly"]
    return [environment.open_db(table.name.lower().encode(), create=can_write) for table in Table]


class LmdbRows:
    """Rows as one transaction sees them: a read transaction of its own, or the given write transaction."""

    def __init__(self, environment: Any, tables: Tables, transaction: Any = None) -> None:
        self._environment = environment
        self._tables = tables
        self._transaction = environment.begin() if transaction is None else transaction

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value of a key."""
        if len(key) <= SHORT_BYTES:
            value: bytes | None = (
                self._transaction.get(key, db=self._tables[table]) if key else None
            )
            return value
        bucket, rest = self._bucket(table, key)
        place = bisect_left(bucket, (rest,))
        if place < len(bucket) and bucket[place][0] == rest:
            return bucket[place][1]
        return None

    def _bucket(self, table: Table, key: bytes) -> tuple[Bucket, bytes]:
        data = self._transaction.get(key[:SHORT_BYTES] + b"\0", db=self._tables[table])
        return _decode_bucket(data) if data is not None else [], key[SHORT_BYTES:]

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """start <= key < stop, in order."""
        for key, value in self._scan_stored(table, start, stop, reverse=reverse):
            if len(key) <= SHORT_BYTES:
                if key >= start and (stop is None or key < stop):
                    yield key, value
                continue
            bucket = _decode_bucket(value)
            for rest, item in reversed(bucket) if reverse else bucket:
                whole = key[:SHORT_BYTES] + rest
                if whole >= start and (stop is None or whole < stop):
                    yield whole, item

    def _scan_stored(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """LMDB's rows that may hold keys of the range, buckets at its edges included."""
        first = start[:SHORT_BYTES]
        last = None if stop is None else stop[:SHORT_BYTES] + b"\0"
        cursor = self._transaction.cursor(self._tables[table])
        if not reverse:
            if cursor.set_range(first) if first else cursor.first():
                for key, value in cursor:
                    if last is not None and key > last:
                        return
                    yield key, value
            return
        is_placed = cursor.set_range(last) if last is not None else False
        if not is_placed and not cursor.last():
            return
        for key, value in cursor.iterprev():
            if key < first:
                return
            if last is None or key <= last:
                yield key, value

    def write(self, table: Table, key: bytes, value: bytes | None) -> None:
        """Set a key, or remove it (None). In a write transaction."""
        db = self._tables[table]
        if len(key) <= SHORT_BYTES:
            if value is None:
                self._transaction.delete(key, db=db)
            else:
                self._transaction.put(key, value, db=db)
            return
        bucket, rest = self._bucket(table, key)
        place = bisect_left(bucket, (rest,))
        has_key = place < len(bucket) and bucket[place][0] == rest
        bucket[place : place + has_key] = [] if value is None else [(rest, value)]
        stored = key[:SHORT_BYTES] + b"\0"
        if bucket:
            self._transaction.put(stored, _encode_bucket(bucket), db=db)
        else:
            self._transaction.delete(stored, db=db)

    def renew(self) -> None:
        """See what was committed meanwhile."""
        self._transaction.abort()
        self._transaction = self._environment.begin()

    @property
    def size_bytes(self) -> tuple[int, int]:
        """(size of the file, without free pages at its end; bytes of the pages that are needed, of an empty file too)."""
        page_bytes = self._environment.stat()["psize"]
        allocated = (self._environment.info()["last_pgno"] + 1) * page_bytes
        in_use = META_PAGES * page_bytes
        for db in self._tables:
            stat = self._transaction.stat(db)
            pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            in_use += pages * page_bytes
        return allocated, in_use

    def close(self) -> None:
        """End the read transaction."""
        self._transaction.abort()
