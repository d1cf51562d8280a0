"""Versions of keys in a store: the newest, any older one, and how many rows that takes."""

import pytest

from raftwerk.kv.rows import KeyRow
from raftwerk.kv.store import Table
from raftwerk.kv.versions import NEWEST, Versions, bound, bounds
from raftwerk.storage.memory import MemoryStore


class CountingStore(MemoryStore):
    """Counts the rows that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def get(self, table: Table, key: bytes) -> bytes | None:
        self.reads += 1
        return super().get(table, key)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def versions(store: CountingStore) -> Versions:
    return Versions(store)


def at(versions: Versions, key: bytes, revision: int) -> KeyRow | None:
    data = versions.store.get(Table.KEYS, key)
    return None if data is None else versions.at(data, bound(revision))


@pytest.mark.parametrize(
    ("key", "range_end", "expected"),
    [
        (b"a", b"", (b"a", b"a\0")),
        (b"a", b"c", (b"a", b"c")),
        (b"a", b"\0", (b"a", None)),
        (b"\0", b"\0", (b"\0", None)),
        (b"b", b"a", (b"b", b"a")),
    ],
    ids=["one key", "a range", "from a key on", "everything", "nothing"],
)
def test_bounds_of_a_range(
    key: bytes, range_end: bytes, expected: tuple[bytes, bytes | None]
) -> None:
    assert bounds(key, range_end) == expected


def test_versions_of_a_key_count_from_its_creation(versions: Versions) -> None:
    versions.put(b"k", b"1", 0, 2, 0)
    versions.put(b"k", b"2", 7, 3, 0)
    assert versions.newest(b"k") == KeyRow(3, 0, 2, 2, 7)
    versions.delete(b"k", 4, 0)
    assert versions.newest(b"k") is None
    versions.put(b"k", b"3", 0, 5, 1)
    assert versions.newest(b"k") == KeyRow(5, 1, 5, 1, 0)


def test_state_at_each_revision_of_a_key(versions: Versions) -> None:
    versions.put(b"k", b"1", 0, 2, 0)
    versions.put(b"k", b"2", 0, 5, 0)
    versions.delete(b"k", 6, 0)
    versions.put(b"k", b"3", 0, 9, 4)
    assert [at(versions, b"k", revision) for revision in range(1, 10)] == [
        None,
        *[KeyRow(2, 0, 2, 1, 0)] * 3,
        KeyRow(5, 0, 2, 2, 0),
        *[None] * 3,
        KeyRow(9, 4, 9, 1, 0),
    ]
    assert at(versions, b"k", NEWEST) == KeyRow(9, 4, 9, 1, 0)


def test_last_of_several_versions_in_one_revision_counts(versions: Versions) -> None:
    versions.put(b"k", b"1", 0, 2, 0)
    versions.delete(b"k", 2, 1)
    versions.put(b"k", b"2", 0, 2, 2)
    versions.put(b"k", b"3", 0, 3, 0)
    row = at(versions, b"k", 2)
    assert row == KeyRow(2, 2, 2, 1, 0)
    assert versions.decoded(row).value == b"2"


@pytest.fixture
def hot(versions: Versions) -> int:
    """The newest revision of a key with very many versions."""
    for revision in range(2, 5002):
        versions.put(b"hot", b"%d" % revision, 0, revision, 0)
    return 5001


def test_old_version_of_a_hot_key_takes_few_reads(
    versions: Versions, store: CountingStore, hot: int
) -> None:
    most = 0
    for revision in range(2, hot, 7):
        store.reads = 0
        row = at(versions, b"hot", revision)
        assert row is not None
        assert row.mod_revision == revision
        most = max(most, store.reads)
    assert most <= 3 * hot.bit_length()


def test_new_version_of_a_hot_key_takes_one_read(
    versions: Versions, store: CountingStore, hot: int
) -> None:
    store.reads = 0
    versions.put(b"hot", b"v", 0, hot + 1, 0)
    assert store.reads == 1
