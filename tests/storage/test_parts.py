"""A dictionary in parts against one in one piece, and how much it moves at once."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.storage.parts import COUNT, Rows

KEYS = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.none() | st.binary(max_size=1)),
        st.tuples(st.just("remove"), KEYS, st.none()),
    ),
    max_size=200,
)


@given(STEPS)
@settings(max_examples=100, deadline=None, database=None, derandomize=True)
def test_it_is_a_dictionary(steps: list[tuple[str, bytes, bytes | None]]) -> None:
    rows, model = Rows(), dict[bytes, bytes | None]()
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
    assert dict(rows.items()) == model
    assert sum(1 for _ in rows.items()) == len(model)


@pytest.mark.parametrize("name", [b"%d", b"key/%012d", b"\0\0\0\0%08d\0\0\0\0\0\0\0\0"])
def test_parts_are_alike_and_do_not_grow_all_at_once(name: bytes) -> None:
    """The loop waits for one that grows."""
    rows = Rows()
    sizes = parts_bytes(rows)
    growths = []
    for number in range(200_000):
        rows.put(name % number, None)
        if number % 100 == 0:
            before, sizes = sizes, parts_bytes(rows)
            growths.append(sum(1 for old, new in zip(before, sizes, strict=True) if new > old))
    assert max(sizes) == min(sizes)
    assert sum(growths) > 4 * COUNT
    assert max(growths[len(growths) // 10 :]) <= COUNT // 2


def parts_bytes(rows: Rows) -> list[int]:
    return [sys.getsizeof(part) for part in rows.parts]
