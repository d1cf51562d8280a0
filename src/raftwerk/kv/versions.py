"""Versions of keys: the store's rows as the machine's state at a revision, and the writing of new ones."""

from typing import Final

from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.counts import Counts
from raftwerk.kv.lease import lease_row
from raftwerk.kv.rows import (
    DELETE,
    FIRST_TREE,
    JUMP_FROM,
    KEY_ROW,
    KEY_ROW_HISTORY,
    KEY_VALUE_FROM,
    LINK_BYTES,
    NO_LINK,
    NO_VERSION,
    PREV_FROM,
    PUT,
    REVISION,
    VERSION_FROM,
    VERSION_TO,
    KeyRow,
    KeyValue,
    RevisionRow,
    decode_key_value,
    encode_revision_row,
    grown,
)
from raftwerk.kv.store import Store, Table
from raftwerk.kv.watch_history import Event

_KEYS: Final = Table.KEYS
_REVISIONS: Final = Table.REVISIONS
NEWEST: Final = 2**63 - 1
"""As a revision to read at: everything, also what the running transaction wrote."""


def bounds(key: bytes, range_end: bytes) -> tuple[bytes, bytes | None]:
    """(start, stop) of etcd's (key, range_end): one key, a range, or everything from key on."""
    if not range_end:
        return key, key + b"\0"
    if range_end == ALL_FROM_KEY:
        return key, None
    return key, range_end


def bound(revision: int) -> bytes:
    """The first link that is too new for a reader at `revision`."""
    return REVISION.pack(revision + 1, 0)


class Versions:
    """The multi-version view of a store. Knows nothing of commands."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.written: list[Event] | None = None
        """What is written, for somebody who wants to know; None: nobody does."""
        self.counts = Counts()
        """Of keys at past revisions, and at the present one, as long as these are revisions of this store's rows."""

    def newest(self, key: bytes) -> KeyRow | None:
        """The newest version of a key that is there; None for a deleted or unknown one."""
        data = self.store.get(_KEYS, key)
        if data is None or data[VERSION_FROM:VERSION_TO] == NO_VERSION:
            return None
        return KeyRow.decode(data)

    def at(self, data: bytes, bound: bytes) -> KeyRow | None:
        """The newest version before a bound (see `bound`), from the KEYS row of its key; None if the key was not there."""
        row = self.encoded_at(data, bound)
        return None if row is None else KeyRow.decode(row)

    def encoded_at(self, data: bytes, bound: bytes) -> bytes | None:
        """The same, as the KEYS row has it, without the trees."""
        if data < bound:  # so is the link that it begins with
            return data[: KEY_ROW.size] if data[VERSION_FROM:VERSION_TO] != NO_VERSION else None
        get = self.store.get
        link = data[:LINK_BYTES]
        while link >= bound:
            row = get(_REVISIONS, link)
            if row is None:
                return None  # a deletion that was compacted away
            jump = row[JUMP_FROM:KEY_VALUE_FROM]
            link = jump if jump >= bound else row[PREV_FROM:JUMP_FROM]
        row = get(_REVISIONS, link) if link != NO_LINK else None
        if row is None:
            return None
        found = RevisionRow.decode(row)
        if found.is_delete:
            return None
        main, sub = REVISION.unpack(link)
        kv = decode_key_value(found.key_value)
        return KEY_ROW.pack(main, sub, kv.create_revision, kv.version, kv.lease)

    def key_value(self, row: KeyRow) -> bytes:
        """The serialized KeyValue of a version."""
        return self.key_value_at(REVISION.pack(row.mod_revision, row.sub))

    def key_value_at(self, link: bytes) -> bytes:
        """The same, by the link to it."""
        data = self.store.get(_REVISIONS, link)
        assert data is not None, f"revision {REVISION.unpack(link)} is missing"
        return data[KEY_VALUE_FROM:]

    def decoded(self, row: KeyRow) -> KeyValue:
        return decode_key_value(self.key_value(row))

    def put(self, key: bytes, value: bytes, lease: int, main: int, sub: int) -> None:
        """Write a new version of a key."""
        data = self.store.get(_KEYS, key)
        version = 0
        if data is not None:
            create_revision, version, old_lease = KEY_ROW_HISTORY.unpack_from(data)
        if not version:  # a new key, or a deleted one
            create_revision, old_lease = main, 0
        if lease != old_lease:
            self._attach(key, old_lease, lease)
        self._write(key, data, PUT, value, main, sub, create_revision, version + 1, lease)

    def delete(self, key: bytes, main: int, sub: int) -> None:
        """Write the deletion of a key that is there."""
        data = self.store.get(_KEYS, key)
        assert data is not None, "a key that is not there is not deleted"
        lease = KeyRow.decode(data).lease
        if lease:
            self._attach(key, lease, 0)
        self._write(key, data, DELETE, b"", main, sub, 0, 0, 0)

    def _attach(self, key: bytes, old_lease: int, lease: int) -> None:
        """A key goes from one lease to another; 0: none."""
        if old_lease:
            self.store.delete(Table.LEASE_KEYS, lease_row(old_lease) + key)
        if lease:
            self.store.put(Table.LEASE_KEYS, lease_row(lease) + key, b"")

    def _write(
        self,
        key: bytes,
        data: bytes | None,
        kind: bytes,
        value: bytes,
        main: int,
        sub: int,
        create_revision: int,
        version: int,
        lease: int,
    ) -> None:
        """Write both rows of a version. data: the KEYS row that it replaces. The last five: a KeyRow."""
        trees, prev, jump = FIRST_TREE, NO_LINK, NO_LINK
        if data is not None:
            trees, prev, jump = grown(data)
        key_row = KEY_ROW.pack(main, sub, create_revision, version, lease)
        self.store.put(_KEYS, key, key_row + trees)
        row = encode_revision_row(
            kind, prev, jump, key, create_revision, main, version, value, lease
        )
        self.store.put(_REVISIONS, key_row[:LINK_BYTES], row)
        if self.written is not None:
            key_value = row[KEY_VALUE_FROM:]
            self.written.append(Event(main, key, key_value, prev, is_delete=kind is DELETE))
