"""The snapshot stream: what goes in comes out, however it is cut; every damage is found."""

from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table
from raftwerk.storage.stream import (
    BLOCK_BYTES,
    BLOCK_BYTES_MAX,
    BLOCK_ROWS,
    MAGIC,
    PAUSE,
    Row,
    StreamDecoder,
    encode_stream,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=20), st.binary(max_size=20))
)
BOUNDED = settings(max_examples=60, deadline=None, database=None, derandomize=True)
SMALL: list[Row] = [(0, b"position", b"7"), (1, b"key", b"value"), (2, b"k", b"")]
STREAM = b"".join(encode_stream(iter(SMALL)))


def decoded(stream: bytes, step: int) -> list[Row]:
    decoder, rows = StreamDecoder("snapshot"), list[Row]()
    for start in range(0, len(stream), step):
        rows += decoder.feed(stream[start : start + step])
    decoder.check_complete()
    return rows


@given(ROWS, st.integers(1, 100))
@BOUNDED
def test_rows_come_out_as_they_went_in_however_the_stream_is_cut(
    rows: list[Row], step: int
) -> None:
    assert decoded(b"".join(encode_stream(iter(rows))), step) == rows


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(1, b"%d" % number, b"") for number in range(2 * BLOCK_ROWS)],
        [(1, b"%d" % number, b"x" * BLOCK_BYTES) for number in range(3)],
    ],
    ids=["no rows", "full blocks", "large rows"],
)
def test_any_number_and_size_of_rows(rows: list[Row]) -> None:
    assert decoded(b"".join(encode_stream(iter(rows))), 4096) == rows


def test_pieces_are_bounded() -> None:
    rows = [(1, b"key", b"x" * 1000)] * 1000
    assert max(map(len, encode_stream(iter(rows)))) < 2 * BLOCK_BYTES


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_found(bit: int) -> None:
    for place in range(len(STREAM)):
        damaged = bytearray(STREAM)
        damaged[place] ^= 1 << bit
        with pytest.raises(CorruptData):
            decoded(bytes(damaged), len(damaged))


@pytest.mark.parametrize("length", range(len(STREAM)))
def test_stream_that_ends_too_early_is_found(length: int) -> None:
    with pytest.raises(CorruptData, match="ends too early"):
        decoded(STREAM[:length], 10)


def test_bytes_after_the_end_are_found() -> None:
    with pytest.raises(CorruptData, match="more follows"):
        decoded(STREAM + b"x", 10)


def test_missing_block_is_found() -> None:
    """Each block by itself is whole, but the digest covers all."""
    blocks = list(encode_stream((1, b"%d" % number, b"") for number in range(2 * BLOCK_ROWS)))
    with pytest.raises(CorruptData, match="checksum"):
        decoded(b"".join([blocks[0], *blocks[2:]]), 4096)


def test_wrong_number_of_rows_is_found() -> None:
    """With a digest that is right: the writer itself went wrong."""
    body = STREAM[: -16 - 8] + (7).to_bytes(8, "big")
    with pytest.raises(CorruptData, match="checksum"):
        decoded(body + blake2b(body, digest_size=16).digest(), 10)


def test_foreign_file_is_named_as_such() -> None:
    with pytest.raises(CorruptData, match="not a snapshot of raftwerk"):
        decoded(b"SQLite format 3\0", 16)


def test_absurd_length_is_refused_before_it_is_waited_for() -> None:
    with pytest.raises(CorruptData, match=f"claims {BLOCK_BYTES_MAX + 1} bytes"):
        StreamDecoder("snapshot").feed(MAGIC + (BLOCK_BYTES_MAX + 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            (8, b"key", b""),
            "of table 8, which this version .* newer one write the snapshot",
        ),
        ((-1, b"key", b""), "of table -1, which this version"),
        ((1, b"", b"value"), "a row of table keys has no key"),
    ],
    ids=["table of a newer version", "no table", "no key"],
)
def test_row_that_no_store_can_hold_is_refused(row: Row, text: str) -> None:
    stream = b"".join(encode_stream(iter([*SMALL, row])))
    with pytest.raises(CorruptData, match=text):
        decoded(stream, 4096)


def test_all_tables_are_known() -> None:
    rows = [(int(table), b"key", b"") for table in Table]
    assert decoded(b"".join(encode_stream(iter(rows))), 4096) == rows


def test_pause_is_a_block_of_no_rows() -> None:
    rows = [(1, b"a", b"1"), None, None, (1, b"b", b"2")]
    pieces = list(encode_stream(iter(rows)))
    assert pieces.count(PAUSE) == 2
    decoder = StreamDecoder("test")
    assert decoder.feed(b"".join(pieces)) == [row for row in rows if row is not None]
    assert decoder.is_complete
