"""Records: what goes in comes out, and nothing else does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, EntryKind, Snapshot
from raftwerk.wal import record

NUMBERS = st.integers(0, 2**64 - 1)
ENTRIES = st.builds(
    Entry, st.integers(1, 2**63), NUMBERS, st.sampled_from(EntryKind), st.binary(max_size=40)
)
SNAPSHOTS = st.builds(Snapshot, NUMBERS, NUMBERS, st.binary(max_size=20))
PERSISTS = st.builds(
    Persist,
    ticket=st.just(1),
    current_term=NUMBERS,
    voted_for=NUMBERS,
    truncate_from=NUMBERS,
    reset_to=st.none() | SNAPSHOTS,
    entries=st.lists(ENTRIES, max_size=4).map(tuple),
)
EXAMPLE = record.encode_payload(
    Persist(1, 3, 7, entries=[Entry(9, 3, EntryKind.COMMAND, b"command")])
)


@settings(max_examples=100, derandomize=True)
@given(
    PERSISTS,
    st.integers(1, 2**40),
    st.integers(1, 2**64 - 1),
    st.integers(512, 2**32 - 1),
    st.integers(0, 9),
)
def test_record_round_trip(
    persist: Persist, segment: int, sequence: int, durable_offset: int, place: int
) -> None:
    payload = record.encode_payload(persist)
    data = bytes(place) + record.encode_record(payload, segment, sequence, durable_offset)
    read = record.read_record(data, place, segment)
    assert read is not None
    head, found = read
    assert (head.sequence, head.durable_offset) == (sequence, durable_offset)
    change = record.decode_payload(found)
    assert change.current_term == persist.current_term
    assert change.voted_for == persist.voted_for
    assert change.truncate_from == persist.truncate_from
    assert change.reset_to == persist.reset_to
    assert tuple(change.entries) == persist.entries


@pytest.mark.parametrize("length", range(20), ids=lambda length: f"payload of {length}")
def test_record_takes_a_multiple_of_eight_bytes(length: int) -> None:
    data = record.encode_record(b"x" * length, 1, 1, 512)
    assert len(data) % 8 == 0
    assert len(data) == record.size_on_disk(length)
    assert data[record.HEADER.size + length :].rstrip(b"\0") == record.END


def test_record_with_any_flipped_bit_is_not_read() -> None:
    """Padding included: what is read was written so, bit by bit."""
    data = bytearray(record.encode_record(EXAMPLE, 5, 2, 512))
    read = []
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        if record.read_record(bytes(data), 0, 5) is not None:
            read.append(bit)
        data[bit // 8] ^= 1 << bit % 8
    assert read == []
    assert record.read_record(bytes(data), 0, 5) is not None


def test_record_cut_off_anywhere_is_not_read() -> None:
    data = record.encode_record(EXAMPLE, 5, 2, 512)
    assert [stop for stop in range(len(data)) if record.read_record(data[:stop], 0, 5)] == []


def test_record_of_another_segment_is_not_read() -> None:
    data = record.encode_record(EXAMPLE, 5, 2, 512)
    assert record.read_record(data, 0, 6) is None


def test_zeros_are_no_record() -> None:
    """Unwritten space."""
    assert record.read_record(bytes(100), 0, 0) is None
    assert record.read_record(bytes(100), 0, 1) is None


@settings(max_examples=50, derandomize=True)
@given(PERSISTS)
def test_payload_never_begins_with_zero(persist: Persist) -> None:
    """Recovery relies on it: see recovery.py, fact 2."""
    assert record.encode_payload(persist)[0] != 0
