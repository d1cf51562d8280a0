"""Rows in LMDB: long keys stand in buckets, in the right order, and leave nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_environment import open_environment
from raftwerk.storage.lmdb_rows import SHORT_BYTES, LmdbRows, Tables, open_tables

EDGE = b"k" * SHORT_BYTES
# Keys around the edge at which they become long, and around each other
LONG_KEYS = st.builds(
    lambda head, tail: head + tail,
    st.sampled_from([EDGE[:-1], EDGE, EDGE[:-1] + b"j", EDGE + b"\0", EDGE + b"k" * 100]),
    st.binary(max_size=2),
)
STEPS = st.lists(st.tuples(LONG_KEYS, st.sampled_from([b"1", b"22", None])), max_size=30)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    environment = open_environment(tmp_path_factory.mktemp("lmdb"), is_draft=True)
    yield environment
    environment.close()


@pytest.fixture(scope="module")
def tables(environment: Any) -> Tables:
    return open_tables(environment)


@contextmanager
def written(environment: Any, tables: Tables) -> Iterator[LmdbRows]:
    """A transaction that is thrown away."""
    transaction = environment.begin(write=True)
    try:
        yield LmdbRows(environment, tables, transaction)
    finally:
        transaction.abort()


@given(steps=STEPS, start=LONG_KEYS, stop=st.none() | LONG_KEYS, reverse=st.booleans())
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_rows_are_those_of_a_sorted_dictionary(
    environment: Any,
    tables: Tables,
    steps: list[tuple[bytes, bytes | None]],
    start: bytes,
    stop: bytes | None,
    reverse: bool,
) -> None:
    model: dict[bytes, bytes] = {}
    with written(environment, tables) as rows:
        for key, value in steps:
            rows.write(Table.KEYS, key, value)
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        for key, _ in steps:
            assert rows.get(Table.KEYS, key) == model.get(key)
        expected = sorted(
            (
                item
                for item in model.items()
                if item[0] >= start and (stop is None or item[0] < stop)
            ),
            reverse=reverse,
        )
        assert list(rows.scan(Table.KEYS, start, stop, reverse=reverse)) == expected


def test_bucket_goes_with_its_last_key(environment: Any, tables: Tables) -> None:
    with written(environment, tables) as rows:
        _, before = rows.size_bytes
        rows.write(Table.KEYS, EDGE + b"1", b"x")
        rows.write(Table.KEYS, EDGE + b"2", b"y")
        assert rows.size_bytes[1] > before
        rows.write(Table.KEYS, EDGE + b"1", None)
        rows.write(Table.KEYS, EDGE + b"2", None)
        assert rows.size_bytes[1] == before


def test_empty_file_is_in_use_too(environment: Any, tables: Tables) -> None:
    """As etcd's: what is in use is never nothing."""
    with written(environment, tables) as rows:
        allocated, in_use = rows.size_bytes
        assert 0 < in_use <= allocated


def test_reader_sees_a_commit_only_after_renew(tmp_path: Path) -> None:
    environment = open_environment(tmp_path)
    tables = open_tables(environment)
    rows = LmdbRows(environment, tables)
    with environment.begin(write=True) as transaction:
        LmdbRows(environment, tables, transaction).write(Table.KEYS, b"k", b"v")
    assert rows.get(Table.KEYS, b"k") is None
    rows.renew()
    assert rows.get(Table.KEYS, b"k") == b"v"
    rows.close()
    environment.close()
