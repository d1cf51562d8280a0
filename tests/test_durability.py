"""What makes a state machine durable: both stores and the machine over them keep to the same protocols."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.kv.store import Store, Table
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete, read_all


def methods_of(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else LmdbStore(tmp_path / "store")
    store.put(Table.META, b"position", b"here")
    yield store
    store.close()


@pytest.mark.parametrize("protocol", [Checkpoint, SnapshotReader, SnapshotWriter])
def test_every_method_says_what_it_promises(protocol: type) -> None:
    for name in methods_of(protocol):
        assert inspect.getdoc(inspect.getattr_static(protocol, name)), name
    assert get_type_hints(protocol) is not None


def test_stores_keep_to_the_protocols(store: Store) -> None:
    made = complete(store.begin_checkpoint(7))
    reader = store.open_snapshot()
    writer = store.begin_restore()
    for thing, protocol in (
        (made, Checkpoint),
        (reader, SnapshotReader),
        (writer, SnapshotWriter),
    ):
        assert methods_of(protocol) <= set(dir(thing))
    assert (made.index, reader.position) == (7, b"here")
    writer.abort()
    reader.close()


def test_stream_can_be_read_again_from_where_it_was_last_read(store: Store) -> None:
    """A chunk that was lost on its way is asked for once more."""
    complete(store.begin_checkpoint(1))
    reader = store.open_snapshot()
    first = reader.read(0, 4)
    assert reader.read(0, 4) == first
    offset = len(first)
    while chunk := reader.read(offset, 1_000_000):
        assert reader.read(offset, 1_000_000) == chunk
        offset += len(chunk)
    assert offset > len(first)
    reader.close()


def test_snapshot_of_one_store_restores_another(store: Store, tmp_path: Path) -> None:
    store.put(Table.KEYS, b"key", b"value")
    complete(store.begin_checkpoint(1))
    store.put(Table.KEYS, b"key", b"newer")
    reader = store.open_snapshot()
    stream = read_all(reader)
    reader.close()
    other = LmdbStore(tmp_path / "other")
    writer = other.begin_restore()
    writer.write(stream)
    writer.commit()
    writer.swap()
    assert other.get(Table.KEYS, b"key") == b"value", "the checkpoint's state, not a later one"
    other.close()
