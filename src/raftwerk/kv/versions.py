"""Versions of keys: the store's rows as the machine's state at a revision, and the writing of new ones."""

from collections.abc import Iterator
from typing import Final

from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.rows import (
    KEY_ROW,
    KEY_VALUE_FROM,
    NO_VERSION,
    PUT,
    REVISION,
    REVISION_HEAD,
    VERSION_SLICE,
    KeyRow,
    KeyValue,
    RevisionRow,
    decode_key_value,
    encode_key_value,
)
from raftwerk.kv.store import Store, Table

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


class Versions:
    """The multi-version view of a store. Knows nothing of commands."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def newest(self, key: bytes) -> KeyRow | None:
        """The newest version of a key that is there; None for a deleted or unknown one."""
        data = self.store.get(Table.KEYS, key)
        if data is None or data[VERSION_SLICE] == NO_VERSION:
            return None
        return KeyRow.decode(data)

    def scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, KeyRow]]:
        """Keys that are there now, in order."""
        for key, data in self.store.scan(Table.KEYS, start, stop):
            if data[VERSION_SLICE] != NO_VERSION:
                yield key, KeyRow.decode(data)

    def at(self, row: KeyRow, revision: int) -> KeyRow | None:
        """The version that was the newest at `revision`, found from the newest of all; None if the key was not there."""
        if row.mod_revision <= revision:
            return row if row.version else None
        main, sub = row.mod_revision, row.sub
        while main > revision:
            data = self.store.get(Table.REVISIONS, REVISION.pack(main, sub))
            if data is None:
                return None  # a deletion that was compacted away
            link = RevisionRow.decode(data)
            main, sub = link.prev_main, link.prev_sub
        data = self.store.get(Table.REVISIONS, REVISION.pack(main, sub)) if main else None
        if data is None:
            return None
        found = RevisionRow.decode(data)
        if found.is_delete:
            return None
        kv = decode_key_value(found.key_value)
        return KeyRow(main, sub, kv.create_revision, kv.version, kv.lease)

    def key_value(self, row: KeyRow) -> bytes:
        """The serialized KeyValue of a version."""
        data = self.store.get(Table.REVISIONS, REVISION.pack(row.mod_revision, row.sub))
        assert data is not None, f"revision {row.mod_revision}.{row.sub} is missing"
        return data[KEY_VALUE_FROM:]

    def decoded(self, row: KeyRow) -> KeyValue:
        return decode_key_value(self.key_value(row))

    def put(self, key: bytes, value: bytes, lease: int, main: int, sub: int) -> None:
        """Write a new version of a key."""
        store = self.store
        data = store.get(_KEYS, key)
        prev_main = prev_sub = 0
        create_revision, version = main, 1
        if data is not None:
            prev_main, prev_sub, prev_create, prev_version, _ = KEY_ROW.unpack(data)
            if prev_version:
                create_revision, version = prev_create, prev_version + 1
        store.put(_KEYS, key, KEY_ROW.pack(main, sub, create_revision, version, lease))
        key_value = encode_key_value(key, create_revision, main, version, value, lease)
        row = REVISION_HEAD.pack(PUT, prev_main, prev_sub) + key_value
        store.put(_REVISIONS, REVISION.pack(main, sub), row)

    def delete(self, key: bytes, prev: KeyRow, main: int, sub: int) -> None:
        """Write the deletion of a key whose newest version is `prev`."""
        store = self.store
        store.put(Table.KEYS, key, KeyRow(main, sub, 0, 0, 0).encode())
        row = RevisionRow(
            True, prev.mod_revision, prev.sub, encode_key_value(key, 0, main, 0, b"", 0)
        )
        store.put(Table.REVISIONS, REVISION.pack(main, sub), row.encode())
