"""Sorted tables in memory against a dictionary that is sorted each time."""

import random
from collections.abc import Callable

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
from raftwerk.storage.parts import PART_ROWS
from tests.storage.rows import in_one

KEYS = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("scan"), KEYS),
        st.tuples(st.just("forget"), KEYS),
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
        elif what == "forget":
            first = table.runs()[0].in_order()
            for one in first:
                del model[one]
            table.forget_first(1)
        else:
            expected = sorted((item for item in model.items() if item[0] >= key), reverse=reverse)
            assert list(table.items(key, None, reverse=reverse)) == expected
    assert list(table.items(b"", b"\x80")) == sorted(
        item for item in model.items() if item[0] < b"\x80"
    )
    assert in_one(table.rows) == model


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
        for key in in_one(table.rows).keys() - set(kept):
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


def comparisons_of(work: Callable[[], object]) -> int:
    before = CountedKey.comparisons
    work()
    return CountedKey.comparisons - before


def counted(orders: str, count: int) -> list[CountedKey]:
    """Different keys. even: they come in an order in which all runs grow alike."""
    if orders == "random":
        return [CountedKey(key) for key in random.Random(1).sample(range_of(count), count)]
    width = (count - 1).bit_length()
    return [CountedKey(b"%07d" % int(f"{number:0{width}b}"[::-1], 2)) for number in range(count)]


def range_of(count: int) -> list[bytes]:
    return [b"%07d" % number for number in range(count)]


@pytest.mark.parametrize("order", ["random", "even"])
def test_no_write_no_scan_and_no_removal_has_to_sort_everything(order: str) -> None:
    """The loop waits for each of them, with as many keys as a store has in memory."""
    table, keys = SortedTable(), counted(order, 128 * 1024)
    comparisons = [comparisons_of(lambda key=key: table.put(key, b"")) for key in keys]  # type: ignore[misc]
    comparisons.append(comparisons_of(lambda: next(table.items(b"", None))))
    assert 0 < max(comparisons) < 50 * NEW_KEYS_MAX
    hundred = keys[:100]
    assert comparisons_of(lambda: [table.remove(key) for key in hundred]) < 100 * RUN_KEYS_MAX // 20


def test_what_is_in_order_is_not_put_in_order_again() -> None:
    table, keys = SortedTable(), counted("random", 20 * RUN_KEYS_MAX)
    for key in keys:
        table.put(key, b"")
    first = comparisons_of(lambda: list(table.items(b"", None)))
    assert first > 5 * comparisons_of(lambda: list(table.items(b"", None)))


def test_keys_that_come_in_order_are_never_sorted_again() -> None:
    table = SortedTable()
    for key in map(CountedKey, range_of(20 * RUN_KEYS_MAX)):
        table.put(key, b"")
    assert comparisons_of(lambda: list(table.items(b"", None))) < 15 * len(table.runs())
    assert len(table.rows) == sum(1 for _ in table.items(b"", None))


def test_scan_after_each_put_sorts_no_run() -> None:
    table, keys = SortedTable(), counted("random", 2 * RUN_KEYS_MAX)
    for key in keys:
        table.put(key, b"")
        assert comparisons_of(lambda key=key: next(table.items(key, None))) < 100  # type: ignore[misc]


def test_runs_of_keys_that_are_no_more_go_too() -> None:
    table, keys = SortedTable(), range_of(40 * RUN_KEYS_MAX)
    for key in keys:
        table.put(key, b"")
    for key in keys:
        table.remove(key)
    assert len(table.runs()) == 1


@pytest.mark.parametrize("order", ["ascending", "shuffled", "descending"])
def test_runs_are_about_half_full_after_a_split_and_in_order(order: str) -> None:
    """A run of a few keys would be one more to look through for ever."""
    keys = range_of(20 * RUN_KEYS_MAX)
    orders = {
        "ascending": keys,
        "shuffled": random.Random(1).sample(keys, len(keys)),
        "descending": keys[::-1],
    }
    table = SortedTable()
    for key in orders[order]:
        table.put(key, b"")
    runs = [run.in_order() for run in table.runs()]
    assert [key for run in runs for key in run] == keys
    assert all(RUN_KEYS_MAX // 3 < len(run) < 2 * RUN_KEYS_MAX for run in runs)


def test_slices_are_in_order_however_the_keys_came() -> None:
    """Then a page takes several rows, and each bucket of long keys is written once."""
    overlay = Overlay()
    for key in random.Random(1).sample(range_of(5000), 5000):
        overlay.tables[Table.KEYS].put(key, b"")
    keys = [key for parts in overlay.slices() for _, rows in parts for key, _ in rows]
    assert keys == range_of(5000)


@pytest.mark.parametrize("order", ["in order", "in order, and one before", "at random"])
def test_slices_have_each_key_with_its_newest_row(order: str) -> None:
    """Rows that came in the order of their keys are not looked for: also when some were overwritten, or removed and put again."""
    keys = range_of(3000)
    came = {
        "in order": keys,
        "in order, and one before": [*keys[1:], keys[0]],
        "at random": random.Random(1).sample(keys, len(keys)),
    }[order]
    overlay = Overlay()
    table = overlay.tables[Table.KEYS]
    for key in came:
        table.put(key, b"old")
    for key in keys[::7]:
        table.put(key, b"new")
    table.remove(keys[70])
    table.put(keys[70], b"again")
    rows = [row for parts in overlay.slices() for _, rows in parts for row in rows]
    wanted = dict.fromkeys(keys, b"old") | dict.fromkeys(keys[::7], b"new")
    assert rows == sorted((wanted | {keys[70]: b"again"}).items())


def test_slices_go_through_all_parts_of_a_table() -> None:
    overlay = Overlay()
    keys = range_of(PART_ROWS + 1000)
    for key in keys:
        overlay.tables[Table.KEYS].put(key, b"")
    assert len(overlay.tables[Table.KEYS].rows.parts) == 2
    assert [key for parts in overlay.slices() for _, rows in parts for key, _ in rows] == keys


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
