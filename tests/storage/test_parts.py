"""A dictionary in parts against one in one piece, and how much it moves at once."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.storage.parts import PART_ROWS, RELEASED_ROWS, Rows
from tests.storage.rows import in_one

KEYS = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.none() | st.binary(max_size=1)),
        st.tuples(st.just("remove"), KEYS, st.none()),
    ),
    max_size=200,
)


def many(count: int) -> Rows:
    rows = Rows()
    for number in range(count):
        rows.put(b"%d" % number, None)
    return rows


@pytest.mark.parametrize("parts", [1, 3])
def test_it_is_a_dictionary(parts: int) -> None:
    rows = many((parts - 1) * PART_ROWS)
    assert len(rows.parts) == parts
    model = in_one(rows)

    @given(STEPS)
    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    def follow(steps: list[tuple[str, bytes, bytes | None]]) -> None:
        for what, key, value in steps:
            assert (key in rows) is (key in model)
            assert rows.get(key, b"nothing") == model.get(key, b"nothing")
            if what == "put":
                assert rows.put(key, value) is (key not in model)
                model[key] = value
                assert rows[key] == value
            elif key in model:
                rows.remove(key)
                del model[key]
            else:
                with pytest.raises(KeyError):
                    rows.remove(key)
                with pytest.raises(KeyError):
                    rows[key]
            assert len(rows) == len(model)

    follow()
    assert in_one(rows) == model


def test_no_part_grows_when_it_has_many_rows() -> None:
    """The loop waits for one that does: it moves all that it has."""
    rows, moved = Rows(), []
    before = sys.getsizeof(rows.parts[-1])
    for number in range(2 * PART_ROWS):
        rows.put(b"%d" % number, None)
        if len(rows.parts[-1]) > 1:
            size = sys.getsizeof(rows.parts[-1])
            if size != before:
                moved.append(len(rows.parts[-1]) - 1)
            before = size
    assert 0 < max(moved) < 100_000
    assert len(rows.parts) == 3


def test_rows_come_in_their_order() -> None:
    """Who looks at all of them finds them side by side in memory."""
    rows = many(PART_ROWS + 10)
    assert list(in_one(rows)) == [b"%d" % number for number in range(PART_ROWS + 10)]


def test_memory_is_given_back_piece_by_piece() -> None:
    rows = many(PART_ROWS + 10)
    counts = [sum(map(len, rows.parts)) for _ in rows.release()]
    assert max(before - after for before, after in pairwise(counts)) == RELEASED_ROWS
    assert counts[-1] == 0
