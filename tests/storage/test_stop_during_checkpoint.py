"""A node that stops in the middle of a checkpoint: the store closes, and opens again with the checkpoint before."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore


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
