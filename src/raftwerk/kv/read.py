"""Range: reading at one revision, at once or in slices, so that no read holds up the node.

A slice leaves off at a key and goes on there later; what is written in between has newer revisions and is not seen.
While a reader is open its revision is pinned: physical compaction leaves alone what it needs.
"""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, Final

from raftwerk.kv.commands import RangeQuery, SortOrder, SortTarget
from raftwerk.kv.results import RangeResult
from raftwerk.kv.rows import (
    KEY_ROW,
    LINK_BYTES,
    ROW_BYTES,
    KeyRow,
    decode_key_value,
    encode_key_value,
)
from raftwerk.kv.store import Table
from raftwerk.kv.versions import NEWEST, Versions, bound, bounds

ALL_ROWS: Final = 2**63
_SORT_FIELDS: Final = {
    SortTarget.VERSION: "version",
    SortTarget.CREATE: "create_revision",
    SortTarget.MOD: "mod_revision",
}


def read_range(versions: Versions, query: RangeQuery, revision: int) -> RangeResult:
    """A Range at once. revision: of the store."""
    read_revision = query.revision if query.revision > 0 else revision
    if not query.range_end:
        return read_key(versions, query, read_revision, revision)
    result = RangeScan(versions, query, read_revision, revision).step(ALL_ROWS)
    assert result is not None
    return result


def read_key(
    versions: Versions, query: RangeQuery, read_revision: int, header_revision: int
) -> RangeResult:
    """Of a single key: there is nothing to scan, to order or to cut."""
    data = versions.store.get(Table.KEYS, query.key)
    row = None if data is None else versions.encoded_at(data, bound(read_revision))
    if row is None:
        return RangeResult(header_revision, (), False, 0)
    if query.count_only or (_has_filters(query) and not _passes(query, KeyRow.decode(row))):
        return RangeResult(header_revision, (), False, 1)
    return RangeResult(header_revision, (_render(versions, query, row + query.key),), False, 1)


class RangeScan:
    """One Range in progress; for many keys."""

    def __init__(
        self,
        versions: Versions,
        query: RangeQuery,
        read_revision: int,
        header_revision: int,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """read_revision: the state to read. header_revision: of the store, for the answer. on_close: unpins."""
        self._versions = versions
        self._query = query
        self._bound = bound(read_revision)
        self._header_revision = header_revision
        self._on_close = on_close
        self.rows_left = 0
        """Of what the step that completed the range was given."""
        self._start, self._stop = bounds(query.key, query.range_end)
        self._next_key = self._start
        self._count = 0
        self._rows: list[bytes] = []
        """Of each key: its encoded KeyRow, then the key. (A tuple for each would be work for the garbage collector.)"""
        self._values: dict[bytes, bytes] = {}
        """Of these rows, if they are to be ordered by value: gathered slice by slice, too."""
        self._kvs: list[bytes] = []
        self._is_counted = False
        self._has_more = False
        self._has_filters = _has_filters(query)
        self._limit = query.limit if query.limit > 0 else ALL_ROWS
        needs_all = self._has_filters or query.sort_order is not SortOrder.NONE
        # One more than asked for, as etcd has it: it counts when an order is implied by the target alone
        self._keep_max = ALL_ROWS if needs_all else self._limit + 1
        if query.count_only:
            self._keep_max = 0
        self._counts = versions.counts if read_revision != NEWEST else None
        """None: what is read still changes."""
        self._known_count: int | None = None
        if self._counts is not None and self._keep_max < ALL_ROWS:
            self._known_count = self._counts.find(self._bound, self._stop, self._start)

    def step(self, max_rows: int) -> RangeResult | None:
        """Do at most about max_rows rows of work. Returns the answer when it is complete, else None: call again."""
        if not self._is_counted:
            max_rows = self._count_keys(max_rows)
            if max_rows < 0:
                return None
            self._arrange()
        while self._rows:
            if max_rows <= 0:
                return None
            row = self._rows.pop()  # to free them takes its time too: not all at once
            kv = _render(self._versions, self._query, row)
            self._kvs.append(kv)
            max_rows -= 1 + len(kv) // ROW_BYTES
        self.close()
        self.rows_left = max(0, max_rows)
        return RangeResult(self._header_revision, self._kvs, self._has_more, self._count)

    def close(self) -> None:
        """Unpin, also when the reader gives up before the end."""
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()

    def _count_keys(self, max_rows: int) -> int:
        """Collect the keys of the range, from where it left off. Returns the rows of work left; -1: not done yet."""
        versions, bound, keep_max = self._versions, self._bound, self._keep_max
        rows, values = self._rows, self._values
        is_ordered_by_value = self._query.sort_target is SortTarget.VALUE
        for key, data in versions.store.scan_with_gaps(Table.KEYS, self._next_key, self._stop):
            is_full = len(rows) >= keep_max
            if is_full and self._known_count is not None:
                break
            if max_rows <= 0:
                self._next_key = key
                return -1
            max_rows -= 1
            row = None if data is None else versions.encoded_at(data, bound)
            if row is None:
                continue
            self._count += 1
            if not is_full:
                row += key
                rows.append(row)
                if is_ordered_by_value:
                    value = decode_key_value(_key_value(versions, row)).value
                    values[key] = value
                    max_rows -= len(value) // ROW_BYTES
        self._is_counted = True
        self._keep_count()
        return max(0, max_rows)

    def _keep_count(self) -> None:
        """For reads of the same range, and for the next page: of a client that begins it behind the last key, or at it."""
        if self._known_count is not None:
            self._count = self._known_count
        if self._counts is None:
            return
        rows, count = self._rows, self._count
        keep = partial(self._counts.keep, self._bound, self._stop)
        keep(self._start, _key_of(rows[0]) if rows else self._start, count)
        if self._limit < len(rows) == self._keep_max:
            last, following = map(_key_of, rows[-2:])
            keep(last, last, count - self._limit + 1)
            keep(last + b"\0", following, count - self._limit)

    def _arrange(self) -> None:
        """Filter, sort and cut, in etcd's order."""
        query = self._query
        rows = self._rows
        if self._has_filters:
            rows = [row for row in rows if _passes(query, KeyRow.decode(row))]
        if query.sort_order is SortOrder.DESCEND or query.sort_target is not SortTarget.KEY:
            rows.sort(key=self._sort_key(), reverse=query.sort_order is SortOrder.DESCEND)
        self._has_more = len(rows) > self._limit
        self._rows = rows[: self._limit]
        self._rows.reverse()

    def _sort_key(self) -> Callable[[bytes], Any]:
        target = self._query.sort_target
        if target is SortTarget.KEY:
            return _key_of
        if target is SortTarget.VALUE:
            values = self._values
            return lambda row: values[_key_of(row)]
        field = attrgetter(_SORT_FIELDS[target])
        return lambda row: field(KeyRow.decode(row))


def _key_of(row: bytes) -> bytes:
    return row[KEY_ROW.size :]


def _key_value(versions: Versions, row: bytes) -> bytes:
    return versions.key_value_at(row[:LINK_BYTES])


def _has_filters(query: RangeQuery) -> bool:
    return bool(
        query.min_mod_revision
        or query.max_mod_revision
        or query.min_create_revision
        or query.max_create_revision
    )


def _passes(query: RangeQuery, row: KeyRow) -> bool:
    """Whether a version passes the filters; 0: no filter."""
    return (
        (not query.min_mod_revision or row.mod_revision >= query.min_mod_revision)
        and (not query.max_mod_revision or row.mod_revision <= query.max_mod_revision)
        and (not query.min_create_revision or row.create_revision >= query.min_create_revision)
        and (not query.max_create_revision or row.create_revision <= query.max_create_revision)
    )


def _render(versions: Versions, query: RangeQuery, found: bytes) -> bytes:
    """The serialized KeyValue that the answer holds."""
    if query.keys_only:
        row = KeyRow.decode(found)
        return encode_key_value(
            _key_of(found), row.create_revision, row.mod_revision, row.version, b"", row.lease
        )
    return _key_value(versions, found)
