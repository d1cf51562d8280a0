"""Bounds of ranges."""

import pytest

from raftwerk.client.ranges import bounds, prefix_end


@pytest.mark.parametrize(
    ("prefix", "end"),
    [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0"), (b"ab\x00", b"ab\x01")],
)
def test_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_bounds_of_everything_begin_with_the_least_key() -> None:
    assert bounds(b"", b"", prefix=True) == (b"\0", b"\0")


def test_bounds_are_left_as_they_are_without_prefix() -> None:
    assert bounds(b"a", b"c", prefix=False) == (b"a", b"c")
