"""Tables of rows in an LMDB environment, through one transaction, with keys of any length.

LMDB limits keys to 511 bytes, etcd does not. A key of more than SHORT_BYTES stands, with all others that begin with the
same SHORT_BYTES, in a bucket: one LMDB row under that beginning and a zero byte, which holds the rest of each key and its
value, in order. It sorts after the short key that is its beginning and before everything greater, so scans stay in order.

Nothing is said not to be there before the rows beside its place were read: a damaged key, or a page that leads to the wrong
one, is found out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec

from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_notes import LmdbNotes
from raftwerk.storage.lmdb_tables import DAMAGES, StoredTable, Tables

SHORT_BYTES: Final = 500
META_PAGES: Final = 2
"""That LMDB begins a file with."""
Item = tuple[bytes, bytes]
"""Key and value."""
Bucket = list[Item]

_decode_bucket: Final = msgspec.msgpack.Decoder(Bucket).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class LmdbRows:
    """Rows as one transaction sees them: a read transaction of its own, or the given write transaction.

    Whatever reads raises CorruptData for a row whose checksum is wrong.
    """

    def __init__(self, environment: Any, tables: Tables, transaction: Any = None) -> None:
        self._environment = environment
        self._tables = tables
        self._transaction = environment.begin() if transaction is None else transaction
        self._cursors: list[Any] = [None] * len(tables)
        """To look for one row at a time: by number of the table, made when they are needed."""
        self._last_bucket: tuple[Table, bytes, Bucket] | None = None
        """What was decoded last: with 20,000 keys that takes milliseconds, and they are often asked for one after the other."""
        self.unfinished: tuple[Table, bytes, dict[bytes, bytes]] | None = None
        """The bucket that was written to last: what is written next may belong to it too, in the next transaction as well."""

    def _cursor(self, table: int) -> Any:
        cursor = self._cursors[table]
        if cursor is None:
            cursor = self._cursors[table] = self._transaction.cursor(self._tables[table].handle)
        return cursor

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value of a key."""
        if len(key) <= SHORT_BYTES:
            return self._stored(table, key) if key else None
        bucket, rest = self._bucket(table, key[:SHORT_BYTES] + b"\0"), key[SHORT_BYTES:]
        place = bisect_left(bucket, (rest,))
        if place < len(bucket) and bucket[place][0] == rest:
            return bucket[place][1]
        return None

    def _bucket(self, table: Table, name: bytes, data: bytes | None = None) -> Bucket:
        """data: its row, of who has it already."""
        self.finish()
        last = self._last_bucket
        if last is not None and last[0] == table and last[1] == name:
            return last[2]
        if data is None:
            data = self._stored(table, name)
        bucket = _decode_bucket(data) if data is not None else []
        self._last_bucket = table, name, bucket
        return bucket

    def _stored(self, table: Table, key: bytes) -> bytes | None:
        """The value of LMDB's row."""
        stored = self._tables[table]
        try:
            # From the root down, as a write goes: a cursor would step over a branch that leads to the page before
            sealed = self._transaction.get(key, db=stored.handle)
            if sealed is None:
                _check_place(stored, self._cursor(table), key, is_empty=True)
                return None
        except DAMAGES as error:
            raise stored.damaged(f"LMDB says: {error}") from error
        return stored.unsealed(key, sealed)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """start <= key < stop, in order."""
        self.finish()
        try:
            for key, value in self._scan_stored(table, start, stop, reverse=reverse):
                if len(key) <= SHORT_BYTES:
                    if key >= start and (stop is None or key < stop):
                        yield key, value
                    continue
                bucket = self._bucket(table, key, value)
                yield from _between(bucket, key[:SHORT_BYTES], start, stop, reverse=reverse)
        except DAMAGES as error:
            raise self._tables[table].damaged(f"LMDB says: {error}") from error

    def _scan_stored(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """LMDB's rows that may hold keys of the range, buckets at its edges included; each once, in order.

        The rows between which it begins, and that at which it ends, are checked too: with a damaged key they could belong to it.
        """
        first = start[:SHORT_BYTES]
        last = None if stop is None else stop[:SHORT_BYTES] + b"\0"
        stored = self._tables[table]
        unsealed = stored.unsealed
        edge = last if reverse else first
        cursor = self._transaction.cursor(stored.handle)
        if edge:
            _check_place(stored, cursor, edge)
        before = b""
        if not reverse:
            if cursor.set_range(first) if first else cursor.first():
                for key, sealed in cursor:
                    value = unsealed(key, sealed)
                    if key <= before:
                        raise stored.damaged(f"key {key!r} stands behind {before!r}")
                    before = key
                    if last is not None and key > last:
                        return
                    yield key, value
            return
        is_placed = cursor.set_range(last) if last is not None else False
        if not is_placed and not cursor.last():
            return
        for key, sealed in cursor.iterprev():
            value = unsealed(key, sealed)
            if before and key >= before:
                raise stored.damaged(f"key {key!r} stands before {before!r}")
            before = key
            if key < first:
                return
            if last is None or key <= last:
                yield key, value

    def write(self, table: Table, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Set keys, or remove them (None): each once. In a write transaction, which ends with `finish`.

        In order, each bucket is written once, however many calls it takes.
        """
        sealed = self._tables[table].sealed
        items: list[Item] = []
        long: list[tuple[bytes, bytes | None]] = []
        for key, value in rows:
            if len(key) > SHORT_BYTES:
                long.append((key, value))
            elif value is None:
                self._transaction.delete(key, db=self._tables[table].handle)
            else:
                items.append((key, sealed(key, value)))
        if items:
            self._put(table, items)
        for beginning, some in groupby(long, _beginning):
            self._write_into_bucket(table, beginning + b"\0", some)

    def _put(self, table: Table, items: list[Item]) -> None:
        """What goes behind the last row is appended: LMDB then fills its pages, and else splits the last one in halves again and
        again, as rows of revisions come (of 1 KiB: two in a page instead of three).
        """
        items.sort()
        cursor = self._cursor(table)
        last = cursor.key() if cursor.last() else b""
        end = bisect_right(items, last, key=itemgetter(0))
        if end:
            cursor.putmulti(items[:end])
        if end < len(items):
            _, added = cursor.putmulti(items[end:], append=True)
            assert added == len(items) - end, "LMDB skips what it cannot append"

    def _write_into_bucket(
        self, table: Table, name: bytes, rows: Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        last = self.unfinished
        if last is None or last[0] != table or last[1] != name:
            self.finish()
            data = self._stored(table, name)
            last = table, name, dict(_decode_bucket(data)) if data is not None else {}
            self.unfinished = last
        bucket = last[2]
        for key, value in rows:
            if value is None:
                bucket.pop(key[SHORT_BYTES:], None)
            else:
                bucket[key[SHORT_BYTES:]] = value

    def finish(self) -> None:
        """Give LMDB what it was not given yet."""
        if self.unfinished is None:
            return
        table, name, bucket = self.unfinished
        self.unfinished = self._last_bucket = None
        stored = self._tables[table]
        if bucket:
            encoded = _encode(sorted(bucket.items()))
            self._transaction.put(name, stored.sealed(name, encoded), db=stored.handle)
        else:
            self._transaction.delete(name, db=stored.handle)

    def notes(self) -> LmdbNotes:
        """What is noted, in the same transaction."""
        return LmdbNotes(self._transaction, self._tables[len(Table) :])

    def renew(self) -> None:
        """See what was committed meanwhile."""
        self._abort()
        self._transaction = self._environment.begin()

    @property
    def size_bytes(self) -> tuple[int, int]:
        """(size of the file, without free pages at its end; bytes of the pages that are needed, of an empty file too)."""
        page_bytes = self._environment.stat()["psize"]
        allocated = (self._environment.info()["last_pgno"] + 1) * page_bytes
        in_use = META_PAGES * page_bytes
        for table in self._tables:
            stat = self._transaction.stat(table.handle)
            pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            in_use += pages * page_bytes
        return allocated, in_use

    def close(self) -> None:
        """End the read transaction."""
        self._abort()
        self._transaction = (
            None  # as long as somebody has it, it takes one of LMDB's 126 places for readers
        )

    def _abort(self) -> None:
        """End the transaction, and with it its cursors and what it saw."""
        self._transaction.abort()
        self._last_bucket = None
        self._cursors = [None] * len(self._tables)


def _beginning(row: tuple[bytes, bytes | None]) -> bytes:
    return row[0][:SHORT_BYTES]


def _between(
    bucket: Bucket, beginning: bytes, start: bytes, stop: bytes | None, *, reverse: bool
) -> Iterator[Item]:
    """The whole keys of a bucket with start <= key < stop, in order."""

    def whole(item: Item) -> bytes:
        return beginning + item[0]

    end = len(bucket) if stop is None else bisect_left(bucket, stop, key=whole)
    places = range(bisect_left(bucket, start, key=whole), end)
    for place in reversed(places) if reverse else places:
        yield whole(bucket[place]), bucket[place][1]


def _check_place(stored: StoredTable, cursor: Any, key: bytes, *, is_empty: bool = False) -> None:
    """The rows on both sides of a key's place are whole, and belong there: else its own could be one of them, or elsewhere.

    is_empty: the row of that key must not be there.
    """
    has_next = cursor.set_range(key)
    if has_next:
        following, sealed = cursor.item()
        stored.unsealed(following, sealed)
        if following < key or (is_empty and following == key):
            raise stored.damaged(f"key {following!r} stands behind the place of {key!r}")
    if cursor.prev() if has_next else cursor.last():
        previous, sealed = cursor.item()
        stored.unsealed(previous, sealed)
        if previous >= key:
            raise stored.damaged(f"key {previous!r} stands before the place of {key!r}")
