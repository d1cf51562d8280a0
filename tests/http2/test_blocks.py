"""Header blocks on their way: padding, priority, CONTINUATION (RFC 9113, sections 6.2 and 6.10)."""

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.blocks import PARTS_MAX, PendingBlock, fragment, unpad
from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.frames import CONTINUATION, END_HEADERS, HAS_PRIORITY, HEADERS, PADDED, frame
from raftwerk.http2.grpc import frame_message
from tests.http2.talk import (
    ServerUnderTest,
    answered,
    block,
    data_frame,
    expect_end,
    headers_frame,
    request_headers,
)

BLOCK = block(request_headers())
PRIORITY = b"\x80\x00\x00\x03\xff"


@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        (0, BLOCK),
        (PADDED, b"\x00" + BLOCK),
        (PADDED, b"\x04" + BLOCK + b"junk"),
        (HAS_PRIORITY, PRIORITY + BLOCK),
        (PADDED | HAS_PRIORITY, b"\x02" + PRIORITY + BLOCK + b"\0\0"),
    ],
    ids=["plain", "padding of nothing", "padding", "priority", "both"],
)
def test_headers_are_found_between_padding_and_priority(flags: int, payload: bytes) -> None:
    server = ServerUnderTest()
    head = frame(HEADERS, flags | END_HEADERS, 1, payload)
    answer = server.say(head, data_frame(1, frame_message(b"hi"), end=True))
    assert answered(answer, 1) == (0, frame_message(b"hi"))


@pytest.mark.parametrize(
    ("payload", "left"), [(b"\0", b""), (b"\x01x", b""), (b"\x01ax", b"a"), (b"\0abc", b"abc")]
)
def test_unpad(payload: bytes, left: bytes) -> None:
    assert unpad(payload) == left


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd", b"\xff"])
def test_padding_longer_than_the_payload_is_a_fault(payload: bytes) -> None:
    """RFC 9113, section 6.1."""
    with pytest.raises(ConnectionFault) as caught:
        unpad(payload)
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR


def test_priority_needs_five_bytes() -> None:
    with pytest.raises(ConnectionFault) as caught:
        fragment(HAS_PRIORITY, b"1234")
    assert caught.value.code == ErrorCode.FRAME_SIZE_ERROR


@pytest.mark.parametrize("cut", [0, 1, 7, len(BLOCK) - 1, len(BLOCK)])
def test_continuation_completes_a_block_wherever_it_is_cut(cut: int) -> None:
    server = ServerUnderTest()
    first = frame(HEADERS, 0, 1, BLOCK[:cut])
    rest = frame(CONTINUATION, END_HEADERS, 1, BLOCK[cut:])
    answer = server.say(first, rest, data_frame(1, frame_message(b"hi"), end=True))
    assert answered(answer, 1) == (0, frame_message(b"hi"))


def test_end_of_stream_of_headers_counts_after_the_continuations() -> None:
    server = ServerUnderTest()
    first = frame(HEADERS, frames.END_STREAM, 1, BLOCK[:9])
    assert server.say(first) == []
    answer = server.say(frame(CONTINUATION, END_HEADERS, 1, BLOCK[9:]))
    assert answered(answer, 1)[0] == 13, "a unary call without a message"


@pytest.mark.parametrize(
    "between",
    [
        frame(frames.PING, 0, 0, bytes(8)),
        data_frame(1, b""),
        headers_frame(3),
        frame(CONTINUATION, END_HEADERS, 3, b""),
        frame(0x42, 0, 1, b"unknown"),
    ],
    ids=["PING", "DATA", "HEADERS", "CONTINUATION of another stream", "unknown kind"],
)
def test_nothing_may_come_between(between: bytes) -> None:
    server = ServerUnderTest()
    answer = server.say(frame(HEADERS, 0, 1, BLOCK[:5]), between)
    expect_end(answer, ErrorCode.PROTOCOL_ERROR)


def test_continuation_of_nothing_ends_the_connection() -> None:
    answer = ServerUnderTest().say(frame(CONTINUATION, END_HEADERS, 1, b""))
    expect_end(answer, ErrorCode.PROTOCOL_ERROR)


def test_block_has_at_most_so_many_parts() -> None:
    pending = PendingBlock(1, 0, b"", 100)
    for _ in range(PARTS_MAX - 1):
        assert pending.add(0, b"") is None
    with pytest.raises(ConnectionFault) as caught:
        pending.add(END_HEADERS, b"")
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_block_has_at_most_so_many_bytes() -> None:
    pending = PendingBlock(1, 0, bytes(60), 100)
    assert pending.add(0, bytes(40)) is None
    with pytest.raises(ConnectionFault):
        pending.add(END_HEADERS, b"1")
