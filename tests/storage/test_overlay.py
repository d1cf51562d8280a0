"""Sorted tables in memory against a dictionary that is sorted each time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.store import Table
from raftwerk.storage.overlay import (
    NEW_KEYS_MAX,
    ROW_OVERHEAD_BYTES,
    RUN_KEYS_MAX,
    Overlay,
    SortedTable,
)

KEYS = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("scan"), KEYS),
    ),
    max_size=200,
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


@pytest.mark.parametrize("count", [1, NEW_KEYS_MAX - 1, NEW_KEYS_MAX, 3 * RUN_KEYS_MAX])
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


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_table_of_many_runs_gives_every_span_in_order(reverse: bool) -> None:
    """Spans that begin or end inside runs and at their edges, before and after most keys are removed."""
    keys = [b"%05d" % number for number in range(5 * RUN_KEYS_MAX)]
    table = SortedTable()
    for key in random.Random(1).sample(keys, len(keys)):
        table.put(key, b"")
    half = RUN_KEYS_MAX // 2
    spans = [(keys[low], keys[low + more]) for low in range(0, 2000, half) for more in (1, half)]
    for kept in (keys, keys[:: 3 * half], []):
        for key in table.rows.keys() - set(kept):
            table.remove(key)
        for start, stop in [*spans, (b"", b""), (keys[9], keys[3]), (b"", keys[-1]), (b"9", b"~")]:
            expected = sorted((key for key in kept if start <= key < stop), reverse=reverse)
            assert [key for key, _ in table.items(start, stop, reverse=reverse)] == expected


class CountedKey(bytes):
    """Counts how often keys were compared, in `comparisons`."""

    comparisons = 0

    def __lt__(self, other: bytes) -> bool:
        CountedKey.comparisons += 1
        return bytes.__lt__(self, other)


def test_no_write_and_no_scan_has_to_sort_everything() -> None:
    """The loop waits for each of them."""
    numbers = random.Random(1)
    table = SortedTable()
    comparisons = []
    for _ in range(20_000):
        before = CountedKey.comparisons
        table.put(CountedKey(numbers.randbytes(8)), b"")
        comparisons.append(CountedKey.comparisons - before)
    before = CountedKey.comparisons
    assert next(table.items(b"", None))
    comparisons.append(CountedKey.comparisons - before)
    assert 0 < max(comparisons) < 60 * NEW_KEYS_MAX


def test_runs_are_about_half_full_after_a_split_and_in_order_however_keys_came() -> None:
    """A run of a few keys would be one more to look through for ever."""
    keys = [b"%06d" % number for number in range(20 * RUN_KEYS_MAX)]
    for order in (keys, random.Random(1).sample(keys, len(keys)), keys[::-1]):
        table = SortedTable()
        for key in order:
            table.put(key, b"")
        runs = [run.in_order() for run in table.runs()]
        assert [key for run in runs for key in run] == keys
        assert all(RUN_KEYS_MAX // 3 < len(run) <= RUN_KEYS_MAX for run in runs)


def test_older_writes_do_not_cover_newer_ones() -> None:
    older, newer = Overlay(), Overlay()
    older.tables[Table.KEYS].put(b"a", b"old")
    older.tables[Table.KEYS].put(b"b", b"old")
    older.tables[Table.META].put(b"m", None)
    newer.tables[Table.KEYS].put(b"a", None)
    older.add_newer(newer)
    assert list(older.tables[Table.KEYS].items(b"", None)) == [(b"a", None), (b"b", b"old")]
    assert list(older.tables[Table.META].items(b"", None)) == [(b"m", None)]


def test_overlay_is_empty_until_something_is_written() -> None:
    overlay = Overlay()
    assert overlay.is_empty()
    overlay.tables[Table.META].put(b"m", None)
    assert not overlay.is_empty(), "a deletion is a write"
