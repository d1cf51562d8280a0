"""The store in memory: for tests, for the simulator, and for machines whose log is their only disk.

Deterministic, and nothing is durable but what a checkpoint made so: `reopen` gives the store as a crash would leave it.
"""

from collections.abc import Iterator

from raftwerk.kv.store import Store, Table
from raftwerk.storage.overlay import Overlay
from raftwerk.storage.reader import StreamReader
from raftwerk.storage.stream import Row, StreamDecoder

Rows = dict[Table, dict[bytes, bytes]]


class MemoryStore(Store):
    """In sorted dictionaries."""

    open_readers = 0
    """Snapshots that are not closed."""

    def __init__(self, durable: Rows | None = None) -> None:
        self._durable: Rows = durable or {table: {} for table in Table}
        self._rows = Overlay()
        for table, rows in self._durable.items():
            for key, value in rows.items():
                self._rows.tables[table].put(key, value)
        self._under_way: MemoryCheckpoint | None = None
        self._restored: Rows | None = None
        self._pending_bytes = 0

    def reopen(self) -> "MemoryStore":
        """What is there after a crash."""
        durable = self._durable if self._restored is None else self._restored
        return MemoryStore({table: dict(rows) for table, rows in durable.items()})

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._rows.tables[table].rows.get(key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self._rows.tables[table].put(key, value)
        self._pending_bytes += len(key) + len(value)

    def delete(self, table: Table, key: bytes) -> None:
        self._rows.tables[table].remove(key)
        self._pending_bytes += len(key)

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._rows.tables[table].items(start, stop, reverse=reverse):
            assert value is not None
            yield key, value

    def begin_checkpoint(self, index: int) -> "MemoryCheckpoint | None":
        if self._under_way is not None or not self._pending_bytes:
            return None
        self._under_way = MemoryCheckpoint(self, index, self._copy())
        self._pending_bytes = 0
        return self._under_way

    def _copy(self) -> Rows:
        return {table: dict(self.scan(table, b"", None)) for table in Table}

    def end_checkpoint(self, rows: Rows | None) -> None:
        """Called by the checkpoint: what is durable now, if it was committed."""
        self._under_way = None
        if rows is not None:
            self._durable = rows
        else:
            self._pending_bytes += 1

    def open_snapshot(self) -> StreamReader:
        durable = self._durable

        def rows() -> Iterator[Row | None]:
            for table in Table:
                for key in sorted(durable[table]):
                    yield int(table), key, durable[table][key]
                yield None  # a store on disk pauses too, and who reads must not take that for the end

        self.open_readers += 1
        position = durable[Table.META].get(b"position", b"")
        return StreamReader(rows(), position, self._on_reader_closed)

    def _on_reader_closed(self) -> None:
        self.open_readers -= 1

    def begin_restore(self) -> "MemoryRestore":
        return MemoryRestore(self)

    def make_current(self, rows: Rows) -> None:
        """Called by the restore: what a start finds, whatever checkpoints still say of the present state."""
        self._restored = rows

    def replace(self, rows: Rows) -> None:
        """Called by the restore."""
        MemoryStore.__init__(self, rows)

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes

    @property
    def size_bytes(self) -> tuple[int, int]:
        return self._rows.size_bytes, self._rows.size_bytes

    def close(self) -> None:
        """Nothing is held."""


class MemoryCheckpoint:
    def __init__(self, store: MemoryStore, index: int, rows: Rows) -> None:
        self.index = index
        self._store = store
        self._rows = rows
        self._is_committed = False

    def write(self) -> bool:
        return True

    def commit(self) -> None:
        self._is_committed = True

    def abort(self) -> None:
        """Nothing was written."""

    def finish(self, *, committed: bool) -> None:
        assert not committed or self._is_committed
        self._store.end_checkpoint(self._rows if committed else None)


class MemoryRestore:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._decoder = StreamDecoder("snapshot")
        self._rows: Rows = {table: {} for table in Table}

    def write(self, chunk: bytes) -> None:
        for table, key, value in self._decoder.feed(chunk):
            self._rows[Table(table)][key] = value

    def commit(self) -> None:
        self._decoder.check_complete()
        self._store.make_current(self._rows)

    def swap(self) -> None:
        self._store.replace(self._rows)

    def abort(self) -> None:
        """Nothing is held elsewhere."""

    has_leftovers = False

    def clean(self) -> None:
        """Nothing is left."""
