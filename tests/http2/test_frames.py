"""Frames (RFC 9113, sections 4.1 and 6)."""

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from tests.http2.talk import Frame, frames_in


def test_frame_is_laid_out_as_in_the_rfc() -> None:
    """24 bits of length, 8 of type, 8 of flags, a reserved bit and 31 of stream identifier."""
    built = frames.frame(frames.HEADERS, 0x25, 0x01020304, b"abc")
    assert built == b"\x00\x00\x03\x01\x25\x01\x02\x03\x04abc"


def test_length_takes_three_bytes() -> None:
    assert frames.frame(frames.DATA, 0, 1, bytes(70_000))[:4] == b"\x01\x11\x70\x00"


def test_settings_are_read_as_they_were_built() -> None:
    values = {frames.MAX_FRAME_SIZE: 2**24 - 1, frames.INITIAL_WINDOW_SIZE: 2**31 - 1, 0xFFFF: 0}
    (built,) = frames_in(frames.settings(values))
    assert dict(frames.parse_settings(built.payload)) == values


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (frames.window_update(7, 1), Frame(frames.WINDOW_UPDATE, 0, 7, b"\0\0\0\x01")),
        (frames.rst_stream(9, ErrorCode.CANCEL), Frame(frames.RST_STREAM, 0, 9, b"\0\0\0\x08")),
        (
            frames.goaway(5, ErrorCode.ENHANCE_YOUR_CALM, "calm"),
            Frame(frames.GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\x0bcalm"),
        ),
    ],
    ids=["WINDOW_UPDATE", "RST_STREAM", "GOAWAY"],
)
def test_control_frames(built: bytes, expected: Frame) -> None:
    assert frames_in(built) == [expected]


def test_text_of_goaway_is_short() -> None:
    (built,) = frames_in(frames.goaway(0, ErrorCode.NO_ERROR, "x" * 10_000))
    assert len(built.payload) == 8 + 256


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(0, [0]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (25, [10, 10, 5])],
)
def test_long_header_block_goes_on_in_continuations(size: int, sizes: list[int]) -> None:
    """Only the last has END_HEADERS, only the first END_STREAM (section 6.10)."""
    block = bytes(range(size))
    built = frames_in(frames.header_frames(3, block, 10, end_stream=True))
    assert [len(one.payload) for one in built] == sizes
    assert b"".join(one.payload for one in built) == block
    assert [one.kind for one in built] == [frames.HEADERS] + [frames.CONTINUATION] * (
        len(built) - 1
    )
    *before, last = [bool(one.flags & frames.END_HEADERS) for one in built]
    assert last
    assert not any(before)
    assert built[0].flags & frames.END_STREAM
    assert not any(one.flags & frames.END_STREAM for one in built[1:])
