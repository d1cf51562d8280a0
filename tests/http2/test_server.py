"""The server side: preface, calls on a connection, the graceful end."""

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.client import request_block
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.headers import literal
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    SETTINGS,
    ServerUnderTest,
    answered,
    call_frames,
    data_frame,
    expect_end,
    expect_reset,
    headers_frame,
    kinds,
    request_headers,
)


@pytest.mark.parametrize("cut", range(len(frames.PREFACE) + 1))
def test_preface_may_come_in_pieces(cut: int) -> None:
    server = ServerUnderTest(greet=False)
    assert server.say(frames.PREFACE[:cut]) == []
    assert kinds(server.say(frames.PREFACE[cut:] + SETTINGS)) == [frames.SETTINGS]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0",
        frames.PREFACE[:-1] + b"x",
        frames.PREFACE[1:],
    ],
    ids=["HTTP/1.1", "TLS", "zero", "last byte", "first byte"],
)
def test_anything_but_the_preface_ends_the_connection(data: bytes) -> None:
    server = ServerUnderTest(greet=False)
    expect_end(server.say(data), ErrorCode.PROTOCOL_ERROR)
    assert server.say(frames.PREFACE) == []


def test_several_calls_in_one_read_are_answered_in_one_write() -> None:
    server = ServerUnderTest()
    answer = server.say(*(call_frames(number, ECHO, b"%d" % number) for number in range(1, 21, 2)))
    for number in range(1, 21, 2):
        assert answered(answer, number) == (0, frame_message(b"%d" % number))
    assert server.engine.calls_total == 10


def test_calls_are_answered_in_any_order() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), call_frames(3, HOLD))
    for number, call in ((3, server.methods.calls[1]), (1, server.methods.calls[0])):
        call.reply(b"%d" % number)
        assert answered(server.output(), number) == (0, frame_message(b"%d" % number))


def test_repeated_request_headers_are_read_once() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), call_frames(3, HOLD))
    one, two = server.methods.calls
    assert one.request is two.request


def test_metadata_that_is_new_with_each_call_is_its_own() -> None:
    """The rest of the headers is read once."""
    server = ServerUnderTest()
    for stream_id, value in ((1, b"1"), (3, b"22"), (5, b"")):
        block = request_block(HOLD, "a") + literal(b"n", value)
        head = frame(frames.HEADERS, frames.END_HEADERS, stream_id, block)
        server.say(head, data_frame(stream_id, frame_message(b""), end=True))
    calls = server.methods.calls
    assert [dict(call.headers)[b"n"] for call in calls] == [b"1", b"22", b""]
    assert len({id(call.request) for call in calls}) == 1


@pytest.mark.parametrize("field", [(b"Upper", b"x"), (b"a", b"x\ny"), (b"connection", b"close")])
def test_malformed_metadata_is_a_fault_of_the_stream(field: tuple[bytes, bytes]) -> None:
    server = ServerUnderTest()
    server.say(call_frames(1))
    block = request_block(ECHO, "a") + literal(*field)
    said = server.say(frame(frames.HEADERS, frames.END_HEADERS, 3, block))
    expect_reset(said, 3, ErrorCode.PROTOCOL_ERROR)
    assert answered(server.say(call_frames(5)), 5)[0] == 0


def test_graceful_end_lets_open_calls_finish_and_takes_no_new_ones() -> None:
    """GOAWAY with NO_ERROR and the last stream that was taken (RFC 9113, section 6.8)."""
    server = ServerUnderTest()
    server.say(call_frames(5, HOLD), headers_frame(7, request_headers(CHAT)))
    server.engine.drain()
    (goaway,) = server.output()
    assert (goaway.kind, goaway.code, goaway.payload[:4]) == (frames.GOAWAY, 0, b"\0\0\0\x07")
    assert not server.engine.is_closed
    answer = server.say(headers_frame(9, request_headers(ECHO)))
    expect_reset(answer, 9, ErrorCode.REFUSED_STREAM)
    assert kinds(server.say(data_frame(7, frame_message(b"x")))) == [frames.HEADERS, frames.DATA]
    server.methods.calls[0].reply(b"")
    assert answered(server.output(), 5)[0] == 0
    assert answered(server.say(data_frame(7, b"", end=True)), 7)[0] == 0
    assert not server.engine.streams


def test_drain_is_announced_to_the_shell() -> None:
    server = ServerUnderTest()
    server.engine.drain()
    assert server.changes == 1


def test_goaway_of_the_client_lets_calls_finish() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    assert server.say(frames.goaway(0, ErrorCode.NO_ERROR, "bye")) == []
    assert server.engine.peer_goaway == (0, 0, b"bye")
    server.methods.calls[0].reply(b"")
    assert answered(server.output(), 1)[0] == 0


def test_headers_in_the_middle_of_a_stream_are_malformed() -> None:
    """Trailers end the stream (section 8.1)."""
    server = ServerUnderTest()
    server.say(headers_frame(1, request_headers(FEED)))
    answer = server.say(headers_frame(1, [(b"a", b"b")]))
    expect_reset(answer, 1, ErrorCode.PROTOCOL_ERROR)


def test_table_of_the_clients_encoder_is_followed() -> None:
    """A literal that is inserted, then named by its index."""
    server = ServerUnderTest()
    inserted = b"\x83\x86\x04\x0c/t.Test/Hold\x5f\x10application/grpc"
    again = b"\x83\x86\x04\x0c/t.Test/Hold\xbe"
    for number, block in ((1, inserted), (3, again), (5, again)):
        head = frame(frames.HEADERS, frames.END_HEADERS, number, block)
        server.say(head, data_frame(number, frame_message(b"%d" % number), end=True))
    assert server.methods.messages == [b"1", b"3", b"5"]


@pytest.mark.parametrize("block", [b"\x80", b"\xff\xff\xff\xff\x7f", b"\x00\x05a"])
def test_broken_header_block_ends_the_connection(block: bytes) -> None:
    """Of a request, or of trailers (section 4.3)."""
    server = ServerUnderTest()
    answer = server.say(frame(frames.HEADERS, frames.END_HEADERS, 1, block))
    expect_end(answer, ErrorCode.COMPRESSION_ERROR)
    server = ServerUnderTest()
    server.say(headers_frame(1, request_headers(FEED)))
    flags = frames.END_HEADERS | frames.END_STREAM
    expect_end(server.say(frame(frames.HEADERS, flags, 1, block)), ErrorCode.COMPRESSION_ERROR)
