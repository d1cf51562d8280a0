"""A checkpoint of the store on disk: in slices, given up in the middle, failed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from raftwerk.errors import CorruptData
from raftwerk.kv.rows import ROW_BYTES
from raftwerk.kv.store import Table
from raftwerk.storage.changes import SLICE_BYTES, Pace
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.overlay import SLICE_ROWS
from raftwerk.storage.parts import MANY, RELEASED_ROWS
from tests.checkpoints import complete
from tests.fakes.damage import flip_bit_in
from tests.storage.lmdb_setting import LmdbSetting


@pytest.mark.parametrize("slices", [0, 1], ids=["before the first slice", "after it"])
def test_store_closes_after_its_checkpoint_was_given_up(tmp_path: Path, slices: int) -> None:
    """The write transaction belongs to another thread, which has to end it first."""
    store = LmdbStore(tmp_path)
    store.put(Table.KEYS, b"key", b"value")
    checkpoint = store.begin_checkpoint(1)
    assert checkpoint is not None
    with ThreadPoolExecutor(1) as thread:
        for _ in range(slices):
            thread.submit(checkpoint.write).result()
        thread.submit(checkpoint.abort).result()
    store.close()
    again = LmdbStore(tmp_path)
    assert again.get(Table.KEYS, b"key") is None
    again.close()


def test_checkpoint_is_written_in_slices(setting: LmdbSetting) -> None:
    setting.put(*(b"%06d" % number for number in range(2 * SLICE_ROWS + 1)))
    checkpoint = setting.store.begin_checkpoint(1)
    assert checkpoint is not None
    assert [checkpoint.write() for _ in range(4)] == [False, False, False, True]
    checkpoint.commit()
    checkpoint.finish(committed=True)
    assert len(setting.keys()) == 2 * SLICE_ROWS + 1


def test_large_rows_of_a_checkpoint_count_for_more(setting: LmdbSetting) -> None:
    """The loop waits for a slice: 300 values of a megabyte would be half a second."""
    for key in (b"1", b"2", b"3"):
        setting.store.put(Table.KEYS, key, bytes(SLICE_ROWS * ROW_BYTES))
    checkpoint = setting.store.begin_checkpoint(1)
    assert checkpoint is not None
    assert [checkpoint.write() for _ in range(4)] == [False, False, False, True]
    checkpoint.commit()
    checkpoint.finish(committed=True)


class HashedKey(bytes):
    """Counts how often one was looked up or stored, in `hashes`."""

    hashes = 0

    def __hash__(self) -> int:
        HashedKey.hashes += 1
        return bytes.__hash__(self)


def test_failed_checkpoint_is_given_back_without_a_copy_of_its_rows(setting: LmdbSetting) -> None:
    """They may be many, and the loop waits: only the few that were written meanwhile are moved."""
    keys = [HashedKey(b"%04d" % number) for number in range(1000)]
    for key in keys:
        setting.store.put(Table.REVISIONS, key, b"row")
    checkpoint = setting.store.begin_checkpoint(1)
    assert checkpoint is not None
    setting.store.put(Table.REVISIONS, HashedKey(b"new"), b"row")
    HashedKey.hashes = 0
    checkpoint.finish(committed=False)
    assert 0 < HashedKey.hashes < 10
    assert len(list(setting.store.scan(Table.REVISIONS, b"", None))) == 1001


class CountedRow(bytes):
    """Counts how many there are, in `count`."""

    count = 0

    def __new__(cls, *data: bytes) -> Self:
        CountedRow.count += 1
        return super().__new__(cls, *data)

    def __del__(self) -> None:
        CountedRow.count -= 1


def test_much_that_was_written_leaves_memory_piece_by_piece_with_the_next_checkpoint(
    setting: LmdbSetting,
) -> None:
    """All at once it would hold up the loop."""
    CountedRow.count = 0
    count = MANY + 1
    for number in range(count):
        setting.store.put(Table.REVISIONS, b"%05d" % number, CountedRow(b"row"))
    setting.checkpoint()
    counts = [CountedRow.count]
    checkpoint = setting.store.begin_checkpoint(2)
    assert checkpoint is not None, "though nothing is new"
    while not checkpoint.write():
        counts.append(CountedRow.count)
    checkpoint.commit()
    checkpoint.finish(committed=True)
    assert counts[0] == count
    assert counts[-1] == 0
    assert max(before - after for before, after in pairwise(counts)) <= RELEASED_ROWS
    assert setting.store.begin_checkpoint(3) is None


def test_much_that_is_noted_is_written_in_slices(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, pace=Pace(few=0))
    for number in range(10):
        store.put(Table.KEYS, b"%d" % number, bytes(SLICE_BYTES))
    checkpoint = store.begin_checkpoint(1)
    assert checkpoint is not None
    assert [checkpoint.write() for _ in range(10)] == [False] * 10
    while not checkpoint.write():
        pass
    checkpoint.commit()
    checkpoint.finish(committed=True)
    store.close()


def test_damaged_bucket_breaks_off_a_checkpoint_that_is_over_then(setting: LmdbSetting) -> None:
    """Its write transaction too: the environment could not be closed, nor written."""
    setting.put(b"k" * 600, value=b"precious")
    setting.checkpoint()
    flip_bit_in(setting.folder / "data-000001" / "data.mdb", b"precious")
    setting.put(b"k" * 601)
    checkpoint = setting.store.begin_checkpoint(2)
    assert checkpoint is not None
    with pytest.raises(CorruptData):
        complete(checkpoint)
    checkpoint.finish(committed=False)
    again = setting.store.begin_checkpoint(2)
    assert again is not None
    met: list[Exception] = []

    def write() -> None:
        try:
            while not again.write():
                pass
        except CorruptData as error:
            met.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(10)
    assert met, "it waits for the transaction of the first one"
