"""Calls without an object each: their frames, the statuses of their answers, and what is rare."""

import hpack
import pytest

from raftwerk.http2 import frames, grpc
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame, rst_stream, window_update
from raftwerk.http2.grpc import frame_message, status_block
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import ServerConnection
from raftwerk.http2.unary import UnaryConnection
from tests.http2.talk import (
    ECHO,
    SETTINGS,
    TestMethods,
    block,
    data_frame,
    expect_end,
    frames_in,
)

OK_HEADERS = frame(frames.HEADERS, frames.END_HEADERS, 1, block([(b":status", b"200")]))
LAST = frames.END_HEADERS | frames.END_STREAM


@pytest.fixture
def connection() -> UnaryConnection:
    """That has heard the server's settings."""
    connection = UnaryConnection("localhost:2379", Limits())
    connection.receive(SETTINGS)
    connection.take_output()
    return connection


def call(connection: UnaryConnection, message: bytes = b"question") -> int:
    return connection.call(connection.block(ECHO), frame_message(message))


def trailers(status: int = 0, stream_id: int = 1) -> bytes:
    return frame(frames.HEADERS, LAST, stream_id, status_block(status))


def test_call_is_headers_and_a_last_message(connection: UnaryConnection) -> None:
    head_block = connection.block(ECHO, b"\x00\x01a\x01b")
    assert [connection.call(head_block, frame_message(b"question")) for _ in range(2)] == [1, 3]
    head, data, *others = frames_in(connection.take_output())
    assert head.headers[b":path"] == ECHO.encode()
    assert head.headers[b":authority"] == b"localhost:2379"
    assert head.headers[b"a"] == b"b"
    assert (data.payload, data.is_last, head.stream_id) == (frame_message(b"question"), True, 1)
    assert [one.stream_id for one in others] == [3, 3]


def test_a_server_answers() -> None:
    """Many calls, in pieces of any size."""
    connection = UnaryConnection("localhost:2379", Limits())
    server = ServerConnection(TestMethods(), Limits())
    ids = [call(connection, b"x" * 100) for _ in range(50)]
    for _ in range(3):
        server.receive(connection.take_output())
        answer = server.take_output()
        for at in range(0, len(answer), 7):
            connection.receive(answer[at : at + 7])
    assert connection.answers == [(stream_id, 0) for stream_id in ids]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK_HEADERS + data_frame(1, frame_message(b"hello")) + trailers(), grpc.OK),
        (OK_HEADERS + trailers(14), grpc.UNAVAILABLE),
        (frame(frames.HEADERS, LAST, 1, block([(b":status", b"200")])), grpc.UNKNOWN),
        (frame(frames.HEADERS, LAST, 1, block([(b":status", b"503")])), grpc.UNKNOWN),
        (frame(frames.HEADERS, LAST, 1, block([(b"grpc-status", b"none")])), grpc.UNKNOWN),
        (OK_HEADERS + data_frame(1, frame_message(b"hello"), end=True), grpc.INTERNAL),
        (rst_stream(1, ErrorCode.INTERNAL_ERROR), grpc.UNAVAILABLE),
    ],
)
def test_answer_has_the_status_that_was_sent(
    connection: UnaryConnection, answer: bytes, status: int
) -> None:
    call(connection)
    connection.receive(answer)
    assert connection.answers == [(1, status)]


def test_blocks_mean_what_the_table_says(connection: UnaryConnection) -> None:
    """A server that puts statuses into the table, as Go's does: the same bytes come to mean another status."""
    encoder = hpack.Encoder()
    blocks = [
        encoder.encode([(b"grpc-status", b"%d" % status)]) for status in (0, 0, 14, 0, 14, 14)
    ]
    assert blocks[1] == blocks[4]
    for data in blocks:
        connection.receive(frame(frames.HEADERS, LAST, call(connection), data))
    assert [status for _, status in connection.answers] == [0, 0, 14, 0, 14, 14]


def test_block_in_two_parts(connection: UnaryConnection) -> None:
    call(connection)
    whole = status_block(7)
    connection.receive(frame(frames.HEADERS, frames.END_STREAM, 1, whole[:4]))
    connection.receive(frame(frames.CONTINUATION, frames.END_HEADERS, 1, whole[4:]))
    assert connection.answers == [(1, 7)]


def test_calls_wait_for_the_window_in_their_order(connection: UnaryConnection) -> None:
    """65,535 bytes are 6 messages of 10,000."""
    for _ in range(8):
        call(connection, b"x" * 10_000)
    assert {one.stream_id for one in frames_in(connection.take_output())} == {1, 3, 5, 7, 9, 11}
    call(connection, b"small")
    assert not connection.has_output
    connection.receive(window_update(0, 20_000))
    sent = frames_in(connection.take_output())
    assert [one.stream_id for one in sent] == [13, 13, 15, 15, 17, 17]


def test_server_is_told_to_go_on() -> None:
    limits = Limits(connection_window_bytes=100_000, stream_window_bytes=1_000_000)
    connection = UnaryConnection("localhost:2379", limits)
    connection.receive(SETTINGS)
    call(connection)
    connection.take_output()
    connection.receive(OK_HEADERS + data_frame(1, bytes(16_384)) * 3)
    assert not connection.has_output
    connection.receive(data_frame(1, bytes(16_384)))
    (update,) = frames_in(connection.take_output())
    assert (update.kind, update.payload) == (
        frames.WINDOW_UPDATE,
        (4 * 16_384).to_bytes(4, "big"),
    )


def test_windows_of_streams_and_pings(connection: UnaryConnection) -> None:
    call(connection)
    connection.take_output()
    connection.receive(window_update(1, 100) + frame(frames.PING, 0, 0, b"12345678"))
    (pong,) = frames_in(connection.take_output())
    assert (pong.kind, pong.flags, pong.payload) == (frames.PING, frames.ACK, b"12345678")


def test_frames_too_large_are_a_fault(connection: UnaryConnection) -> None:
    connection.receive(data_frame(1, bytes(16_385)))
    assert connection.is_closed
    expect_end(frames_in(connection.take_output()), ErrorCode.FRAME_SIZE_ERROR)


def test_server_says_how_many_calls() -> None:
    connection = UnaryConnection("localhost:2379", Limits())
    connection.receive(frames.settings({frames.MAX_CONCURRENT_STREAMS: 17}))
    assert connection.calls_max == 17


def test_scheme_is_https_over_tls() -> None:
    block = UnaryConnection("localhost", Limits(), is_tls=True).block(ECHO)
    assert dict(hpack.Decoder().decode(block, raw=True))[b":scheme"] == b"https"
