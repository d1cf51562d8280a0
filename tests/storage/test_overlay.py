"""Sorted tables in memory against a dictionary that is sorted each time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.store import Table
from raftwerk.storage.overlay import FEW, ROW_OVERHEAD_BYTES, Overlay, SortedTable

KEYS = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("scan"), KEYS),
    ),
    max_size=3 * FEW,
)


@given(STEPS, st.booleans())
@settings(max_examples=100, deadline=None, database=None, derandomize=True)
def test_items_are_those_of_a_sorted_dictionary(
    steps: list[tuple[str, bytes]], reverse: bool
) -> None:
    table, model = SortedTable(), dict[bytes, bytes | None]()
    for number, (what, key) in enumerate(steps):
        if what == "put":
            table.put(key, b"%d" % number)
            model[key] = b"%d" % number
        elif what == "remove":
            table.remove(key)
            model.pop(key, None)
        else:
            expected = sorted((item for item in model.items() if item[0] >= key), reverse=reverse)
            assert list(table.items(key, None, reverse=reverse)) == expected
    assert list(table.items(b"", b"\x80")) == sorted(
        item for item in model.items() if item[0] < b"\x80"
    )
    assert table.rows == model


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 10 * FEW])
def test_new_keys_find_their_places_however_many_they_are(count: int) -> None:
    table = SortedTable()
    old = [b"%05d" % number for number in range(0, 1000, 2)]
    for key in old:
        table.put(key, b"")
    assert [key for key, _ in table.items(b"", None)] == old
    new = [b"%05d" % number for number in range(2 * count, 0, -2)]
    for key in new:
        table.put(key + b"+", b"")
    expected = sorted([*old, *(key + b"+" for key in new)])
    assert [key for key, _ in table.items(b"", None)] == expected


def test_size_counts_keys_values_and_overhead_of_every_write() -> None:
    overlay = Overlay()
    overlay.tables[Table.KEYS].put(b"key", b"value")
    overlay.tables[Table.KEYS].put(b"key", None)
    assert overlay.size_bytes == 3 + 5 + 3 + 2 * ROW_OVERHEAD_BYTES


def test_older_writes_do_not_cover_newer_ones() -> None:
    older, newer = Overlay(), Overlay()
    older.tables[Table.KEYS].put(b"a", b"old")
    older.tables[Table.KEYS].put(b"b", b"old")
    older.tables[Table.META].put(b"m", None)
    newer.tables[Table.KEYS].put(b"a", None)
    newer.add_older(older)
    assert list(newer.tables[Table.KEYS].items(b"", None)) == [(b"a", None), (b"b", b"old")]
    assert list(newer.tables[Table.META].items(b"", None)) == [(b"m", None)]


def test_overlay_is_empty_until_something_is_written() -> None:
    overlay = Overlay()
    assert overlay.is_empty()
    overlay.tables[Table.META].put(b"m", None)
    assert not overlay.is_empty(), "a deletion is a write"
