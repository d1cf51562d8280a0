"""Calls on the server: how they are answered, and what they take (gRPC over HTTP/2)."""

import gzip

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.call import JOINED_BYTES_MAX
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import rst_stream, window_update
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.limits import Limits
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    ServerUnderTest,
    answered,
    call_frames,
    data_frame,
    expect_end,
    headers_frame,
    kinds,
    request_headers,
)


def held_call(server: ServerUnderTest, path: str = HOLD) -> None:
    """Stream 1, waiting for its answer."""
    if path == HOLD:
        server.say(call_frames(1, HOLD))
    else:
        server.say(headers_frame(1, request_headers(path)))


def test_unary_answer_is_headers_message_trailers() -> None:
    server = ServerUnderTest()
    head, data, trailers = server.say(call_frames(1, ECHO, b"hello"))
    assert head.headers == {b":status": b"200", b"content-type": b"application/grpc"}
    assert (head.is_last, data.is_last, trailers.is_last) == (False, False, True)
    assert data.payload == b"\0\0\0\0\x05hello"
    assert trailers.headers == {b"grpc-status": b"0"}


@pytest.mark.parametrize("size", [0, 1, 127, 250, 251, 255, 256, 16_379, 16_380, 60_000])
def test_answer_is_the_same_fast_or_slow(size: int) -> None:
    """In one frame, or in several; after a window was missing, or not."""
    message = bytes(size)
    server = ServerUnderTest()
    assert answered(server.say(call_frames(1, ECHO, message)), 1) == (0, frame_message(message))
    slow = ServerUnderTest()
    slow.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 3}))
    parts = slow.say(call_frames(1, ECHO, message)) + slow.say(window_update(1, 70_000))
    assert answered(parts, 1) == (0, frame_message(message))


@pytest.mark.parametrize("size", [0, 3, JOINED_BYTES_MAX // 4, JOINED_BYTES_MAX // 2])
def test_answer_in_parts_is_one_message(size: int) -> None:
    """Put together if it is small, else not: each part is in frames of its own."""
    parts = [bytes((number,)) * size for number in range(3)]
    server = ServerUnderTest()
    held_call(server)
    server.methods.calls[0].reply_parts(parts)
    status, data = answered(
        server.output() + server.say(*[window_update(n, 10**6) for n in (0, 1)]), 1
    )
    assert (status, data) == (0, frame_message(b"".join(parts)))


@pytest.mark.parametrize(
    ("status", "text", "fields"),
    [
        (0, "", {b"grpc-status": b"0"}),
        (5, "", {b"grpc-status": b"5"}),
        (9, "100% \u00e4", {b"grpc-status": b"9", b"grpc-message": b"100%25 %C3%A4"}),
    ],
)
def test_status_alone_is_trailers_only(status: int, text: str, fields: dict[bytes, bytes]) -> None:
    server = ServerUnderTest()
    held_call(server)
    server.methods.calls[0].finish(status, text)
    (only,) = server.output()
    assert only.is_last
    ordinary = {b":status": b"200", b"content-type": b"application/grpc"}
    assert only.headers == ordinary | fields


def test_status_after_messages_is_in_trailers() -> None:
    server = ServerUnderTest()
    held_call(server)
    (call,) = server.methods.calls
    call.send(b"one")
    call.finish(11, "no more")
    output = server.output()
    assert kinds(output) == [frames.HEADERS, frames.DATA, frames.HEADERS]
    assert output[-1].headers == {b"grpc-status": b"11", b"grpc-message": b"no more"}


def test_reply_after_messages_has_no_second_headers() -> None:
    server = ServerUnderTest()
    held_call(server)
    server.methods.calls[0].send(b"one")
    server.methods.calls[0].reply(b"two")
    output = server.output()
    assert kinds(output) == [frames.HEADERS, frames.DATA, frames.DATA, frames.HEADERS]


def test_long_status_text_goes_on_in_continuations() -> None:
    server = ServerUnderTest()
    held_call(server)
    server.methods.calls[0].finish(5, "x" * 40_000)
    output = server.output()
    assert kinds(output) == [frames.HEADERS, frames.CONTINUATION, frames.CONTINUATION]
    assert sum(len(one.payload) for one in output) > 40_000


def test_call_is_answered_once() -> None:
    server = ServerUnderTest()
    held_call(server)
    (call,) = server.methods.calls
    assert not call.is_over
    call.reply(b"first")
    server.output()
    assert call.is_over
    call.reply(b"second")
    call.send(b"third")
    call.finish(1)
    assert server.output() == []


def test_call_whose_answer_waits_is_over() -> None:
    server = ServerUnderTest()
    held_call(server)
    (call,) = server.methods.calls
    call.reply(bytes(100_000))
    assert call.is_over
    call.finish(5, "too late")
    rest = server.output() + server.say(window_update(1, 100_000), window_update(0, 100_000))
    assert answered(rest, 1)[0] == 0


def test_reset_call_is_over() -> None:
    server = ServerUnderTest()
    held_call(server)
    (call,) = server.methods.calls
    call.reply(bytes(100_000))
    server.output()
    server.say(rst_stream(1, ErrorCode.CANCEL))
    assert call.is_over
    assert (call.queued_bytes, server.engine._sender.queued_bytes) == (0, 0)
    assert server.say(window_update(0, 100_000)) == []


@pytest.mark.parametrize("is_blocked", [False, True])
def test_client_that_goes_on_to_send_is_told_to_stop(is_blocked: bool) -> None:
    """RST_STREAM with NO_ERROR after a whole answer (RFC 9113, section 8.1), also if the answer had to wait."""
    server = ServerUnderTest()
    held_call(server, FEED)
    (call,) = server.methods.calls
    call.send(bytes(70_000 if is_blocked else 10))
    call.finish()
    answer = server.output()
    if is_blocked:
        answer = server.say(window_update(1, 10_000), window_update(0, 10_000))
    assert (answer[-1].kind, answer[-1].code) == (frames.RST_STREAM, ErrorCode.NO_ERROR)
    assert answer[-2].is_last
    assert not server.engine.streams


def test_owner_is_told_when_all_has_left() -> None:
    server = ServerUnderTest()
    held_call(server, FEED)
    (call,) = server.methods.calls
    call.send(bytes(70_000))
    server.say(window_update(0, 100_000))
    assert server.methods.drained == []
    server.say(window_update(1, 100_000))
    assert server.methods.drained == [call]


def test_messages_of_a_stream_come_as_they_are_complete() -> None:
    server = ServerUnderTest()
    wire = frame_message(b"one") + frame_message(b"two")
    server.say(headers_frame(1, request_headers(CHAT)), data_frame(1, wire[:10]))
    assert server.methods.messages == [b"one"]
    server.say(data_frame(1, wire[10:] + frame_message(b"three")))
    assert server.methods.messages == [b"one", b"two", b"three"]
    answer = server.say(data_frame(1, b"", end=True))
    assert answered(answer, 1)[0] == 0


def test_half_close_comes_after_the_last_message() -> None:
    server = ServerUnderTest()
    answer = server.say(
        headers_frame(1, request_headers(CHAT)), data_frame(1, frame_message(b"x"), end=True)
    )
    assert answered(answer, 1) == (0, frame_message(b"x"))
    assert not server.engine.streams


def test_stream_without_messages_half_closes_at_once() -> None:
    server = ServerUnderTest()
    answer = server.say(headers_frame(1, request_headers(CHAT), end=True))
    assert answered(answer, 1) == (0, b"")


def test_trailers_end_a_request() -> None:
    server = ServerUnderTest()
    trailers = headers_frame(1, [(b"checksum", b"1")], end=True)
    answer = server.say(
        headers_frame(1, request_headers(HOLD)), data_frame(1, frame_message(b"x")), trailers
    )
    assert answer == []
    assert server.methods.messages == [b"x"]
    server.methods.calls[0].reply(b"")
    assert answered(server.output(), 1)[0] == 0


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 13, "a unary call carries one message, none came"),
        (frame_message(b"a") * 2, 13, "a unary call carries one message"),
        (b"\0\0\0", 13, "the last message is not complete"),
        (frame_message(b"a") + b"\0", 13, "the last message is not complete"),
        (b"\x01\0\0\0\0", 12, "compression is not supported"),
        (frame_message(bytes(51)), 8, "larger than max (51 vs. 50)"),
    ],
    ids=["none", "two", "half a prefix", "one and a bit", "compressed", "too large"],
)
@pytest.mark.parametrize("cut", [0, 3, 6])
def test_body_that_is_no_single_message_is_refused(
    body: bytes, status: int, text: str, cut: int
) -> None:
    server = ServerUnderTest(Limits(message_bytes_max=50))
    answer = server.say(
        headers_frame(1), data_frame(1, body[:cut]), data_frame(1, body[cut:], end=True)
    )
    fields = next(one.headers for one in answer if one.is_last)
    assert int(fields[b"grpc-status"]) == status
    assert text.encode() in fields[b"grpc-message"]
    assert not server.engine.streams
    assert answered(server.say(call_frames(3)), 3)[0] == 0


def test_two_messages_of_a_unary_call_in_two_frames_are_refused() -> None:
    server = ServerUnderTest()
    piece = data_frame(1, frame_message(b"a"))
    answer = server.say(headers_frame(1, request_headers(HOLD)), piece, piece)
    assert answer[0].headers[b"grpc-status"] == b"13"
    assert server.methods.calls == []


@pytest.mark.parametrize(
    ("body", "end"),
    [(b"\0\0\0\0\x05ab", True), (b"\x07\0\0\0\0", False)],
    ids=["cut off", "no message"],
)
def test_who_answers_a_stream_is_told_when_what_is_sent_next_is_refused(
    body: bytes, end: bool
) -> None:
    """What it holds for the client would be held for ever."""
    server = ServerUnderTest()
    server.say(headers_frame(1, request_headers(CHAT)), data_frame(1, frame_message(b"one")))
    answer = server.say(data_frame(1, body, end=end))
    assert next(one for one in answer if one.is_last).headers[b"grpc-status"] in (b"12", b"13")
    server.say(rst_stream(1, ErrorCode.CANCEL))
    assert server.methods.cancelled == server.methods.calls
    assert server.methods.calls[0].is_over


def test_messages_before_one_that_is_too_large_are_delivered() -> None:
    """As they would be if the client had cut its frames otherwise."""
    server = ServerUnderTest(Limits(message_bytes_max=50))
    body = frame_message(b"good") + frame_message(bytes(51))
    answer = server.say(headers_frame(1, request_headers(CHAT)), data_frame(1, body))
    assert server.methods.messages == [b"good"]
    assert next(one for one in answer if one.is_last).headers[b"grpc-status"] == b"8"


def test_gzip_that_was_announced_is_unpacked() -> None:
    server = ServerUnderTest()
    plain = gzip.compress(b"plain")
    body = b"\x01" + len(plain).to_bytes(4, "big") + plain
    head = headers_frame(1, request_headers(grpc_encoding="gzip"))
    answer = server.say(head, data_frame(1, body, end=True))
    assert answered(answer, 1) == (0, frame_message(b"plain"))


def test_answer_outside_of_receive_is_announced() -> None:
    """The shell writes it when it is told; what is answered while it receives it writes anyway."""
    server = ServerUnderTest()
    server.say(call_frames(1))
    assert server.changes == 0
    server.say(call_frames(3, HOLD))
    server.methods.calls[-1].reply(b"")
    assert server.changes == 1


def test_answer_in_parts_that_is_too_much_is_announced_as_the_end() -> None:
    """Outside of receive: the shell has to write the GOAWAY, though the call is over then."""
    server = ServerUnderTest(Limits(buffered_bytes_max=10))
    server.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    for stream_id in (1, 3):
        server.say(call_frames(stream_id, HOLD))
    first, second = server.methods.calls
    first.reply_parts([bytes(JOINED_BYTES_MAX), b"more"])
    before = server.changes
    second.reply_parts([bytes(JOINED_BYTES_MAX), b"more"])
    assert server.changes > before
    expect_end(server.output(), ErrorCode.ENHANCE_YOUR_CALM)
