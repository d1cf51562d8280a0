"""Compaction and the hash over all versions: both walk the revisions in bounded slices.

After Compact(C) the newest version of each key at C stays; every older one may go, and so may a deletion before C (one
at C stays for those who watch from C on, until the next compaction). A version is superseded at C exactly if a later one
at or below C links back to it. So one walk over the revisions since the last compaction, that one included, finds
everything: for each version, drop what it links to, and drop it if it is a deletion before C.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from raftwerk.kv.rows import LINK_BYTES, NO_LINK, REVISION, ROW_BYTES, RevisionRow, decode_key_value
from raftwerk.kv.store import Store, Table, number, put_number

NEVER_COMPACTED: Final = -1
"""As the compacted revision: etcd takes one compaction at 0, and says -1 before it."""
_COMPACTED: Final = b"compacted_revision"
_REMOVED: Final = b"removed_revision"


class Compaction:
    """What of a store is compacted, what of that is removed, and what is still being read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.load()

    def load(self) -> None:
        """The store's rows were replaced: whoever reads the old ones is on its own."""
        self.revision = number(self._store, _COMPACTED, NEVER_COMPACTED)
        """Reads below it are refused."""
        self.removed_revision = number(self._store, _REMOVED, 0)
        """Physical compaction got so far."""
        self._removal: Removal | None = None
        self._pins: dict[object, int] = {}

    def mark(self, revision: int) -> None:
        """Compacted up to `revision`."""
        self.revision = revision
        put_number(self._store, _COMPACTED, revision)

    def pin(self, revision: int) -> Callable[[], None]:
        """What can be read at `revision` stays until the function that is returned is called."""
        pins, pin = self._pins, object()
        pins[pin] = revision

        def unpin() -> None:
            pins.pop(pin, None)

        return unpin

    @property
    def has_garbage(self) -> bool:
        """Whether maintain has something to do."""
        removed = self.removed_revision
        return (
            removed < self.revision and removed < self._removable_revision()
        )  # asked at each tick

    def maintain(self, max_rows: int) -> bool:
        """Remove what is compacted, one slice. Returns whether there is more. A crash repeats at most some of it."""
        if self.has_garbage:
            if self._removal is None:
                upto = self._removable_revision()
                self._removal = Removal(self._store, self.removed_revision, upto)
            self.removed_revision, is_complete = self._removal.step(max_rows)
            put_number(self._store, _REMOVED, self.removed_revision)
            if is_complete:
                self._removal = None
        return self.has_garbage

    def _removable_revision(self) -> int:
        return min((self.revision, *self._pins.values()))


class Removal:
    """The removal of what one compaction superseded, in slices. A crash repeats at most some of it."""

    def __init__(self, store: Store, done: int, upto: int) -> None:
        """done: everything that revisions before it superseded is gone. upto: the compacted revision."""
        self._store = store
        self._next = REVISION.pack(done, 0)
        self._upto = upto
        self._stop = REVISION.pack(upto + 1, 0)

    def step(self, max_rows: int) -> tuple[int, bool]:
        """Look at max_rows versions. Returns the revision up to which all is done, and whether that is the last one."""
        rows: list[tuple[bytes, RevisionRow]] = []  # a scan ends with the first deletion
        is_complete = True
        for revision, data in self._store.scan(Table.REVISIONS, self._next, self._stop):
            if max_rows <= 0:
                self._next, is_complete = revision, False
                break
            max_rows -= 1 + len(data) // ROW_BYTES
            rows.append((revision, RevisionRow.decode(data)))
        for revision, row in rows:
            self._look_at(revision, row)
        return (self._upto, True) if is_complete else (revision_of(self._next) - 1, False)

    def _look_at(self, revision: bytes, row: RevisionRow) -> None:
        if row.prev != NO_LINK:
            self._store.delete(Table.REVISIONS, row.prev)
        if row.is_delete and revision_of(revision) < self._upto:
            self._store.delete(Table.REVISIONS, revision)
            key = decode_key_value(row.key_value).key
            data = self._store.get(Table.KEYS, key)
            if data is not None and data[:LINK_BYTES] == revision:
                self._store.delete(Table.KEYS, key)


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
        for revision, data in self._store.scan_with_gaps(Table.REVISIONS, self._next, self._stop):
            if max_rows <= 0:
                self._next = revision
                return None
            max_rows -= 1
            if data is not None:
                max_rows -= len(data) // ROW_BYTES
                self._take(revision, RevisionRow.decode(data))
        self.close()
        return self._sum % 2**64

    def close(self) -> None:
        """Unpin, when the reader gives up before the end."""
        self._on_close()

    def _take(self, revision: bytes, row: RevisionRow) -> None:
        if revision_of(revision) <= self._compacted and row.prev != NO_LINK:
            data = self._store.get(Table.REVISIONS, row.prev)
            if data is not None:
                self._sum -= self._hash(row.prev, RevisionRow.decode(data))
        self._sum += self._hash(revision, row)

    def _hash(self, revision: bytes, row: RevisionRow) -> int:
        if row.is_delete and revision_of(revision) < self._compacted:
            return 0
        content = revision + bytes((row.is_delete,)) + row.key_value
        return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def revision_of(link: bytes) -> int:
    """The revision without the place in it."""
    return int.from_bytes(link[:8], "big")
