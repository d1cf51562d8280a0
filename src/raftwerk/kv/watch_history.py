"""Events: what happened to a key at a revision, as it is made known to watchers, now or later from the store."""

from typing import Final, Protocol

from raftwerk.kv.rows import (
    DELETE,
    JUMP_FROM,
    KEY_VALUE_FROM,
    LINK_BYTES,
    NO_LINK,
    PREV_FROM,
    REVISION,
    read_varint,
    varint,
)
from raftwerk.kv.store import Store, Table

_EVENT: Final = b"\x5a"
"""The tag of WatchResponse.events."""
_DELETE_TYPE: Final = b"\x08\x01"
_KV: Final = b"\x12"
_PREV_KV: Final = b"\x1a"
SLICE_BYTES: Final = 256 * 1024


class Event:
    """One change. Its bytes are made when somebody wants them, and once for all."""

    __slots__ = ("_plain", "_with_prev", "is_delete", "key", "key_value", "prev", "revision")

    def __init__(
        self, revision: int, key: bytes, key_value: bytes, prev: bytes, *, is_delete: bool
    ) -> None:
        """prev: the link to the version before (kv/rows.py)."""
        self.revision = revision
        self.key = key
        self.key_value = key_value
        self.prev = prev
        self.is_delete = is_delete
        self._plain: bytes | None = None
        self._with_prev: bytes | None = None

    def field(self) -> bytes:
        """As a field of a WatchResponse."""
        if self._plain is None:
            self._plain = self._render(b"")
        return self._plain

    def field_with_prev(self, store: Store, compacted_revision: int) -> bytes:
        """With the key-value of the revision before this one, if there was one and it is not compacted."""
        if self._with_prev is None:
            prev_kv = None
            if self.revision - 1 >= compacted_revision:
                prev_kv = _key_value_before(store, self.prev, self.revision)
            self._with_prev = (
                self.field()
                if prev_kv is None
                else self._render(_PREV_KV + varint(len(prev_kv)) + prev_kv)
            )
        return self._with_prev

    def _render(self, prev_field: bytes) -> bytes:
        kv = self.key_value
        kind = _DELETE_TYPE if self.is_delete else b""
        event = b"".join((kind, _KV, varint(len(kv)), kv, prev_field))
        return _EVENT + varint(len(event)) + event


def _key_value_before(store: Store, link: bytes, revision: int) -> bytes | None:
    """Of the newest version at `link` or behind it that is older than `revision`; None if there was no such key."""
    while link != NO_LINK:
        row = store.get(Table.REVISIONS, link)
        if row is None:
            return None
        if int.from_bytes(link[:8], "big") < revision:
            return None if row[:1] == DELETE else row[KEY_VALUE_FROM:]
        link = row[PREV_FROM:JUMP_FROM]  # written by the same transaction
    return None


class Machine(Protocol):
    """What a history needs of kv.machine.KvMachine."""

    revision: int
    restores: int

    @property
    def compacted_revision(self) -> int: ...


class History:
    """The events that the store still knows."""

    def __init__(self, machine: Machine, store: Store) -> None:
        self._machine = machine
        self.store = store

    @property
    def revision(self) -> int:
        """The newest."""
        return self._machine.revision

    @property
    def compacted_revision(self) -> int:
        """Events before it may be missing."""
        return self._machine.compacted_revision

    @property
    def restores(self) -> int:
        """Changes when a snapshot replaces the state."""
        return self._machine.restores

    def read(self, position: bytes, max_rows: int) -> tuple[list[Event], bytes | None]:
        """The events of at most max_rows rows from `position` (a link) on. Returns where to go on; None: these are all.

        Rows that were just removed count, and have none; nor has what a command that is not complete has written.
        """
        stop = REVISION.pack(self.revision + 1, 0)
        events: list[Event] = []
        size_bytes = 0
        rows = self.store.scan_with_gaps(Table.REVISIONS, position, stop)
        for passed, (link, row) in enumerate(rows):
            if passed == max_rows or size_bytes > SLICE_BYTES:
                return events, link
            if row is not None:
                size_bytes += len(row)
                events.append(_event(link, row))
        return events, None


def _event(link: bytes, row: bytes) -> Event:
    key_value = row[KEY_VALUE_FROM:]
    size, start = read_varint(key_value, 1)
    key = key_value[start : start + size]
    revision, _ = REVISION.unpack(link[:LINK_BYTES])
    return Event(revision, key, key_value, row[PREV_FROM:JUMP_FROM], is_delete=row[:1] == DELETE)
