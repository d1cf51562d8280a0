"""Buckets of long keys in LMDB: read once, written once, and gone with their last key."""

from typing import Any

from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_rows import SHORT_BYTES, LmdbRows
from raftwerk.storage.lmdb_tables import Tables
from tests.storage.transactions import written

EDGE = b"k" * SHORT_BYTES


def test_bucket_goes_with_its_last_key(environment: Any, tables: Tables) -> None:
    with written(environment, tables) as rows:
        _, before = rows.size_bytes
        rows.write(Table.KEYS, [(EDGE + b"1", b"x")])
        rows.write(Table.KEYS, [(EDGE + b"2", b"y")])
        rows.finish()
        assert rows.size_bytes[1] > before
        rows.write(Table.KEYS, [(EDGE + b"1", None)])
        rows.write(Table.KEYS, [(EDGE + b"2", None)])
        rows.finish()
        assert rows.size_bytes[1] == before


class Counting:
    """A transaction; counts what is put and got."""

    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction
        self.puts = self.gets = 0

    def put(self, *args: Any, **options: Any) -> None:
        self.puts += 1
        self._transaction.put(*args, **options)

    def get(self, *args: Any, **options: Any) -> Any:
        self.gets += 1
        return self._transaction.get(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)


def test_bucket_is_written_once_for_all_its_keys_that_come_together(
    environment: Any, tables: Tables
) -> None:
    """Each time, all of it is: thousands of them would hold up the loop for seconds."""
    transaction = environment.begin(write=True)
    counting = Counting(transaction)
    rows = LmdbRows(environment, tables, counting)
    for start in range(0, 300, 100):
        keys = [EDGE + b"%04d" % number for number in range(start, start + 100)]
        rows.write(Table.KEYS, [(key, b"v") for key in keys])
    assert counting.puts == 0
    rows.write(Table.REVISIONS, [(EDGE + b"0000", b"v")])
    assert counting.puts == 1, "another one begins"
    rows.finish()
    rows.finish()
    transaction.abort()
    assert counting.puts == 2


def test_bucket_is_read_once_for_gets_of_its_keys_one_after_the_other(
    environment: Any, tables: Tables
) -> None:
    """With thousands of keys, each time takes milliseconds."""
    with environment.begin(write=True) as transaction:
        counting = Counting(transaction)
        rows = LmdbRows(environment, tables, counting)
        rows.write(Table.KEYS, [(EDGE + b"%04d" % number, b"%d" % number) for number in range(300)])
        counting.gets = 0
        found = [rows.get(Table.KEYS, EDGE + b"%04d" % number) for number in range(302)]
        assert rows.get(Table.KEYS, EDGE[:-1] + b"jj") is None
        assert rows.get(Table.REVISIONS, EDGE + b"0001") is None
        assert rows.get(Table.KEYS, EDGE + b"0001") == b"1"
        gets = counting.gets
        transaction.abort()
    assert found == [*(b"%d" % number for number in range(300)), None, None]
    assert gets == 4, "one for each change of the bucket"


def test_bucket_is_read_once_for_scans_of_its_keys_in_slices(
    environment: Any, tables: Tables
) -> None:
    """And each begins at its place: a slice costs no more where there are many keys."""
    with written(environment, tables) as rows:
        rows.write(Table.KEYS, [(EDGE + b"%04d" % number, b"") for number in range(300)])
        first = next(rows.scan(Table.KEYS, EDGE, None))
        bucket = rows._last_bucket
        assert first == (EDGE + b"0000", b"")
        assert next(rows.scan(Table.KEYS, EDGE + b"0100", None)) == (EDGE + b"0100", b"")
        assert rows._last_bucket is bucket


def test_get_of_a_bucket_sees_what_was_written_since_the_last(
    environment: Any, tables: Tables
) -> None:
    with written(environment, tables) as rows:
        for value in (b"1", b"2", None, b"3"):
            rows.write(Table.KEYS, [(EDGE + b"k", value)])
            assert rows.get(Table.KEYS, EDGE + b"k") == value
