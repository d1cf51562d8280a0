"""Segments: names, and headers that say whose they are."""

import struct

import msgspec
import pytest

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.wal import record, segment
from raftwerk.wal.segment import HEADER_BYTES, MAGIC, SegmentHeader, encode_header, read_header
from tests.fakes.disk import FakeDisk, FakeFile

SIZE = 1024
HEADER = SegmentHeader(segment.VERSION, 0xC1, 0xA1, 7, SIZE, 42, 3, 0xA2, 99, 2)


def file_with(data: bytes, size: int = SIZE) -> FakeFile:
    return FakeDisk({"7": bytearray(data.ljust(size, b"\0"))}).open("7")


def test_header_round_trip() -> None:
    assert read_header(file_with(encode_header(HEADER)), "wal/7", 7) == HEADER


def test_header_fits_whatever_the_numbers() -> None:
    largest = SegmentHeader(segment.VERSION, *([2**64 - 1] * 9))
    assert len(encode_header(largest)) == HEADER_BYTES


def test_header_with_any_flipped_bit_is_refused() -> None:
    data = bytearray(encode_header(HEADER))
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptData) as caught:
            read_header(file_with(data), "wal/7", 7)
        assert caught.value.offset in (0, len(MAGIC)), bit
        data[bit // 8] ^= 1 << bit % 8


def test_header_under_a_wrong_name_is_refused() -> None:
    with pytest.raises(CorruptData, match="wrong checksum"):
        read_header(file_with(encode_header(HEADER)), "wal/8", 8)


def test_foreign_file_is_refused() -> None:
    with pytest.raises(CorruptData, match="not a log segment of raftwerk"):
        read_header(file_with(b"#!/bin/sh\n"), "wal/7", 7)


@pytest.mark.parametrize("size", [HEADER_BYTES, SIZE - 1, SIZE + 1])
def test_file_of_another_size_is_refused(size: int) -> None:
    """Segments have their full size before they are used: a shorter one lost something."""
    with pytest.raises(CorruptData, match="it was made 1024 bytes long") as caught:
        read_header(file_with(encode_header(HEADER), size), "wal/7", 7)
    assert caught.value.offset == size


@pytest.mark.parametrize("size", [0, 7, 8, 31, 60])
def test_file_shorter_than_its_header_is_refused(size: int) -> None:
    with pytest.raises(CorruptData):
        read_header(file_with(encode_header(HEADER)[:size], size), "wal/7", 7)


def test_header_of_a_future_format_is_refused_with_advice() -> None:
    """Whatever else it says: only `version` must keep its name."""
    payload = msgspec.msgpack.encode({"version": 2, "news": [1, 2, 3]})
    data = MAGIC + record.encode_record(payload, 7, 1, 0)
    with pytest.raises(DataDirError, match=r"log format 2 is not known here.*newer raftwerk"):
        read_header(file_with(data), "wal/7", 7)


@pytest.mark.parametrize("number", [1, 42, 10**15])
def test_name_of_a_segment_tells_its_number(number: int) -> None:
    assert segment.number_of(segment.name_of(number)) == number


@pytest.mark.parametrize(
    "name", ["spare.wal", "1.wal", "0000000000000001.draft", "0000000000000001", "x" * 16 + ".wal"]
)
def test_name_of_something_else_has_no_number(name: str) -> None:
    assert segment.number_of(name) is None


def test_magic_does_not_survive_text_mode() -> None:
    """A file that was copied as text shows at once."""
    assert MAGIC.replace(b"\r\n", b"\n") != MAGIC
    assert struct.calcsize("8s") == len(MAGIC)
