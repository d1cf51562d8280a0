"""A short LMDB file whose rows are all there is no whole one if the table of free pages is not: writes would go astray."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete

PAGE_BYTES = 4096


def rows(store: LmdbStore) -> Iterator[bytes]:
    return (key for key, _ in store.scan(Table.KEYS, b"", None))


@pytest.mark.parametrize("count", [300, 1000, 3000], ids=["one page", "two", "more"])
def test_file_without_the_end_of_its_free_pages_is_refused(tmp_path: Path, count: int) -> None:
    """A transaction writes them last, behind the rows. Many are a value on pages of its own."""
    store = LmdbStore(tmp_path)
    for number in range(count):
        store.put(Table.KEYS, b"%04d" % number, bytes(1000))
    complete(store.begin_checkpoint(1))
    for number in range(1, count):
        store.delete(Table.KEYS, b"%04d" % number)
    complete(store.begin_checkpoint(1))
    store.close()
    file = tmp_path / "data-000001" / "data.mdb"
    size = file.stat().st_size - PAGE_BYTES
    os.truncate(file, size)
    with pytest.raises(CorruptData, match="the file ends here"):
        LmdbStore(tmp_path)
    assert file.stat().st_size == size


def test_file_with_all_its_free_pages_is_whole(tmp_path: Path) -> None:
    """Also where their table has branches: what was freed while a snapshot was read stays in it."""
    store = LmdbStore(tmp_path)
    store.put(Table.KEYS, b"first", b"")
    complete(store.begin_checkpoint(1))
    reader = store.open_snapshot()
    for number in range(300):
        store.put(Table.KEYS, b"%04d" % number, b"k" * 500)
        store.put(Table.REVISIONS, b"%04d" % number, b"")
        complete(store.begin_checkpoint(1))
    reader.close()
    store.close()
    file = tmp_path / "data-000001" / "data.mdb"
    whole = file.stat().st_size
    with file.open(
        "r+b"
    ) as data:  # as if its last transaction had taken a page more, and given it back
        for meta in (0, PAGE_BYTES):
            data.seek(meta + 16 + 24 + 2 * 48)
            last = int.from_bytes(data.read(8), "little")
            data.seek(-8, os.SEEK_CUR)
            data.write((last + 1).to_bytes(8, "little"))
    store = LmdbStore(tmp_path)
    assert len(list(rows(store))) == 301
    store.close()
    assert file.stat().st_size == whole + PAGE_BYTES
