"""Frames: cut out of a stream however it arrives; any damage ends the connection."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.errors import PeerProtocolError
from raftwerk.wire.frame import FRAME_BYTES_MAX, HEADER, FrameDecoder, encode_frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=6)
LIMIT = 64


def stream(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(encode_frame(kind, payload) for kind, payload in frames)


@settings(max_examples=100, derandomize=True)
@given(FRAMES, st.lists(st.integers(0, 400), max_size=8))
def test_frames_come_out_however_the_bytes_arrive(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = stream(frames)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = FrameDecoder()
    found = []
    for start, stop in pairwise(edges):
        found += decoder.feed(data[start:stop])
    assert found == frames


@pytest.mark.parametrize("split", range(len(stream([(1, b"one"), (2, b""), (3, b"three")])) + 1))
def test_frames_come_out_at_every_split(split: int) -> None:
    frames = [(1, b"one"), (2, b""), (3, b"three")]
    data = stream(frames)
    decoder = FrameDecoder()
    assert decoder.feed(data[:split]) + decoder.feed(data[split:]) == frames


def test_byte_by_byte() -> None:
    data = stream([(7, b"payload")])
    decoder = FrameDecoder()
    found = [decoder.feed(data[place : place + 1]) for place in range(len(data))]
    assert found == [[]] * (len(data) - 1) + [[(7, b"payload")]]


def test_frame_is_not_given_out_before_its_last_byte() -> None:
    data = stream([(7, b"payload")])
    assert [FrameDecoder().feed(data[:stop]) for stop in range(len(data))] == [[]] * len(data)


def feed_byte_by_byte(decoder: FrameDecoder, data: bytes, found: list[tuple[int, bytes]]) -> None:
    for byte in data:
        found += decoder.feed(bytes([byte]))


def test_any_flipped_bit_ends_the_connection() -> None:
    """At the latest when as many bytes came as the longest frame may have; until then nothing false comes out."""
    frames = [(1, b"one"), (2, b"second")]
    data = bytearray(stream(frames))
    rest = stream([(3, b"r" * 20)] * 10)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        decoder = FrameDecoder(LIMIT)
        found: list[tuple[int, bytes]] = []
        with pytest.raises(PeerProtocolError):
            feed_byte_by_byte(decoder, bytes(data) + rest, found)
        assert found == frames[: len(found)], bit
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("length", [0, LIMIT + 1, 2**31, 2**32 - 1])
def test_impossible_length_is_refused_before_its_bytes_come(length: int) -> None:
    """Nothing is kept for a frame that will never be taken."""
    decoder = FrameDecoder(LIMIT)
    with pytest.raises(
        PeerProtocolError, match=f"a frame of {length} bytes was announced; 1 to 64"
    ):
        decoder.feed(HEADER.pack(length, 0, 1))


def test_longest_frame_is_taken() -> None:
    payload = b"x" * (LIMIT - 1)
    assert FrameDecoder(LIMIT).feed(encode_frame(1, payload)) == [(1, payload)]


def test_limit_holds_the_largest_message_with_room_to_spare() -> None:
    """A request of 1.5 MiB, and a group of forwarded commands, are far below it."""
    assert FRAME_BYTES_MAX >= 16 * 1_572_864


@pytest.mark.parametrize(
    "text", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"]
)
def test_other_protocols_are_told_apart(text: bytes) -> None:
    """HTTP and TLS announce absurd lengths."""
    with pytest.raises(PeerProtocolError, match="Is the other side a raftwerk peer port"):
        FrameDecoder().feed(text)
