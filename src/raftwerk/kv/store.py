"""The store port: ordered tables of bytes, as the key-value machine needs them.

Two stores implement it (raftwerk.storage): LMDB with a memory overlay, and sorted dictionaries in memory. Both pass
one contract test. Reads always see every earlier write. Used from the event loop's thread only, but for what Checkpoint
and SnapshotWriter (durability.py) say of themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import IntEnum

from mypy_extensions import mypyc_attr

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter


class Table(IntEnum):
    """The tables, numbered from 0 without gaps. The numbers are in snapshots, the names on disk: never reused."""

    META = 0
    """Names to values: position, current revision, compacted revision."""
    KEYS = 1
    """User key to its newest version, deleted ones too until compacted (kv/rows.py)."""
    REVISIONS = 2
    """Revision to what happened in it (kv/rows.py)."""
    MEMBERS = 3
    """Node id to its published attributes."""
    LEASES = 4
    """Lease id to what was granted (kv/lease.py)."""
    LEASE_KEYS = 5
    """Lease id and user key to nothing: the key is attached."""
    SESSIONS = 6
    """Session to how far its client is, session and number to a result (kv/sessions.py)."""
    AUTH = 7
    """Users and roles (kv/auth.py)."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Store(ABC):
    """Ordered tables of bytes with checkpoints and snapshots.

    A base class and no Protocol: compiled, each call of a Protocol's method looks for it by its name.
    """

    @abstractmethod
    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value of `key`, or None."""

    @abstractmethod
    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Set `key`."""

    @abstractmethod
    def delete(self, table: Table, key: bytes) -> None:
        """Remove `key` if it is there."""

    @abstractmethod
    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < stop in key order (stop None: to the end).

        The iterator is invalid after the next put, delete or checkpoint: use it up first, or scan again.
        """

    def scan_with_gaps(
        self, table: Table, start: bytes, stop: bytes | None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """The same, perhaps with keys that were deleted a moment ago, and None. There may be many one behind the other: who
        does some of a scan at a time counts them.
        """
        return self.scan(table, start, stop)

    @abstractmethod
    def begin_checkpoint(self, index: int) -> Checkpoint | None:
        """Begin to make all present rows durable in one atomic step, as the state at `index`.

        Writes may go on meanwhile; they belong to the next one. None if nothing changed, or if one is under way.
        """

    @abstractmethod
    def open_snapshot(self) -> SnapshotReader:
        """Open a stream of the last checkpoint's rows. Its position is the value of (META, b"position") in it."""

    @abstractmethod
    def begin_restore(self) -> SnapshotWriter:
        """Prepare to receive such a stream; its `swap` replaces all rows."""

    @property
    @abstractmethod
    def pending_bytes(self) -> int:
        """Size of the writes that are in no checkpoint yet."""

    @property
    @abstractmethod
    def size_bytes(self) -> tuple[int, int]:
        """(allocated on disk, in use)."""

    @abstractmethod
    def close(self) -> None:
        """Release files and memory. Writes after the last checkpoint are forgotten (the log has them)."""


def number(store: Store, name: bytes, default: int) -> int:
    """One of META's numbers."""
    data = store.get(Table.META, name)
    return default if data is None else int.from_bytes(data, "big")


def put_number(store: Store, name: bytes, value: int) -> None:
    """Set it; value >= 0."""
    store.put(Table.META, name, value.to_bytes(8, "big"))
