"""Positions survive their encoding."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.replica.position import Position


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary())
def test_round_trip(index: int, term: int, membership: bytes) -> None:
    position = Position(index, term, membership)
    assert Position.decode(position.encode()) == position


def test_shorter_bytes_are_refused() -> None:
    with pytest.raises(struct.error):
        Position.decode(b"\0" * 15)
