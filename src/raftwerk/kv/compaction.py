"""Physical compaction and the hash over all versions: both walk the revisions in bounded slices.

After Compact(C) the newest version of each key at C stays, unless it is a deletion; every older one may go. A version is
superseded at C exactly if a later one at or below C links back to it. So one walk over the revisions since the last
compaction finds everything: for each, drop what it links to, and drop it if it is a deletion.
"""

import hashlib
from collections.abc import Callable

from raftwerk.kv.rows import REVISION, KeyRow, RevisionRow, decode_key_value
from raftwerk.kv.store import Store, Table


def compact_slice(store: Store, after: int, upto: int, max_rows: int) -> int:
    """Remove what is superseded by revisions in (after, upto]. Returns the last revision that is done; == upto: all."""
    start = REVISION.pack(after + 1, 0)
    stop = REVISION.pack(upto + 1, 0)
    rows: list[tuple[bytes, bytes]] = []
    is_whole = True
    for row in store.scan(Table.REVISIONS, start, stop):
        if len(rows) >= max_rows and row[0][:8] != rows[-1][0][:8]:
            is_whole = False  # slices end between revisions
            break
        rows.append(row)
    for revision, data in rows:
        _compact_row(store, revision, RevisionRow.decode(data))
    return upto if is_whole else REVISION.unpack(rows[-1][0])[0]


def _compact_row(store: Store, revision: bytes, row: RevisionRow) -> None:
    if row.prev_main:
        store.delete(Table.REVISIONS, REVISION.pack(row.prev_main, row.prev_sub))
    if row.is_delete:
        store.delete(Table.REVISIONS, revision)
        key = decode_key_value(row.key_value).key
        data = store.get(Table.KEYS, key)
        if data is not None:
            newest = KeyRow.decode(data)
            if (newest.mod_revision, newest.sub) == REVISION.unpack(revision):
                store.delete(Table.KEYS, key)


class HashScan:
    """A hash over all versions at or below a revision that compaction must keep, whatever it has removed so far.

    The hashes of single versions are added up: a version that turns out to be superseded at the compacted revision is taken
    out again, so that members agree however far each has got with removing it.
    """

    def __init__(
        self, store: Store, revision: int, compacted: int, on_close: Callable[[], None]
    ) -> None:
        """Hash the state at `revision`, where everything up to `compacted` is compacted. on_close: unpins."""
        self._store = store
        self._stop = REVISION.pack(revision + 1, 0)
        self._compacted = compacted
        self._on_close = on_close
        self._next = REVISION.pack(0, 0)
        self._sum = 0

    def step(self, max_rows: int) -> int | None:
        """Hash at most max_rows versions. Returns the hash (64 bits) when it is complete."""
        for revision, data in self._store.scan(Table.REVISIONS, self._next, self._stop):
            if max_rows <= 0:
                self._next = revision
                return None
            max_rows -= 1
            self._take(revision, RevisionRow.decode(data))
        self.close()
        return self._sum % 2**64

    def close(self) -> None:
        """Unpin, when the reader gives up before the end."""
        self._on_close()

    def _take(self, revision: bytes, row: RevisionRow) -> None:
        is_compacted = REVISION.unpack(revision)[0] <= self._compacted
        if is_compacted and row.prev_main:
            prev = REVISION.pack(row.prev_main, row.prev_sub)
            data = self._store.get(Table.REVISIONS, prev)
            if data is not None:
                before = RevisionRow.decode(data)
                if not before.is_delete:
                    self._sum -= _hash(prev, before)
        if not (is_compacted and row.is_delete):
            self._sum += _hash(revision, row)


def _hash(revision: bytes, row: RevisionRow) -> int:
    content = revision + bytes((row.is_delete,)) + row.key_value
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
