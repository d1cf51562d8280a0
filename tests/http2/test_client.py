"""The client side: calls out, answers in."""

import hpack
import pytest

from raftwerk.http2 import frames, grpc
from raftwerk.http2.client import NOT_LOOKED_AT, Answer, request_block
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame, rst_stream, window_update
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import ServerConnection
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    OK_HEADERS,
    SETTINGS,
    ClientUnderTest,
    TestMethods,
    answer_headers,
    data_frame,
    exchange,
    expect_end,
    headers_frame,
    kinds,
    trailers,
)


def whole_answer(message: bytes, stream_id: int = 1) -> bytes:
    data = data_frame(stream_id, frame_message(message))
    return answer_headers(stream_id) + data + trailers(stream_id=stream_id)


def asked(limits: Limits | None = None) -> ClientUnderTest:
    """A client that waits for the answer to a unary call, on stream 1."""
    client = ClientUnderTest(limits)
    client.engine.call(ECHO, b"question", client.answers.append)
    client.output()
    return client


def test_call_is_headers_and_a_last_message() -> None:
    client = ClientUnderTest()
    client.engine.call(ECHO, b"question", client.answers.append, metadata=literal(b"token", b"x"))
    head, data = client.output()
    assert head.headers == {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": ECHO.encode(),
        b":authority": b"localhost:2379",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
        b"user-agent": b"raftwerk",
        b"token": b"x",
    }
    assert (data.payload, data.is_last, head.stream_id) == (frame_message(b"question"), True, 1)


def test_calls_have_growing_odd_streams() -> None:
    client = ClientUnderTest()
    for _ in range(3):
        client.engine.call(ECHO, b"", client.answers.append)
    assert [one.stream_id for one in client.output()] == [1, 1, 3, 3, 5, 5]


def test_answer_is_its_message() -> None:
    client = asked()
    assert client.hear(whole_answer(b"hello")) == []
    assert client.answers == [Answer(grpc.OK, "", b"hello")]
    assert not client.engine.streams


@pytest.mark.parametrize("cut", range(len(whole_answer(b"hello"))))
def test_answer_is_the_same_wherever_it_is_cut(cut: int) -> None:
    client = asked()
    data = whole_answer(b"hello")
    client.hear(data[:cut])
    assert client.answers == []
    client.hear(data[cut:])
    assert client.answers == [Answer(grpc.OK, "", b"hello")]


@pytest.mark.parametrize(
    "data",
    [
        answer_headers(end=True, grpc_status="5", grpc_message="not %C3%A4"),
        answer_headers() + trailers(5, "not \u00e4"),
        answer_headers() + data_frame(1, frame_message(b"x")) + trailers(5, "not \u00e4"),
    ],
    ids=["Trailers-Only", "trailers", "trailers after a message"],
)
def test_status_of_a_failed_call(data: bytes) -> None:
    client = asked()
    client.hear(data)
    assert client.answers == [Answer(5, "not \u00e4")]


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (answer_headers(end=True), grpc.UNKNOWN, ""),
        (answer_headers(end=True, grpc_status="many"), grpc.UNKNOWN, ""),
        (answer_headers(end=True, grpc_status="9" * 5_000), grpc.UNKNOWN, ""),
        (answer_headers() + trailers(), grpc.INTERNAL, "without a message"),
        (answer_headers() + data_frame(1, b"", end=True), grpc.INTERNAL, "without a status"),
        (
            answer_headers() + data_frame(1, frame_message(b"a") * 2),
            grpc.INTERNAL,
            "two messages",
        ),
        (answer_headers() + data_frame(1, b"\0\0") + trailers(), grpc.INTERNAL, "not complete"),
        (
            answer_headers() + data_frame(1, frame_message(bytes(101))),
            grpc.RESOURCE_EXHAUSTED,
            "(101 vs. 100)",
        ),
        (answer_headers() + data_frame(1, b"\x01\0\0\0\0"), grpc.INTERNAL, "compression"),
        (headers_frame(1, [(b":status", b"503")], end=True), grpc.UNAVAILABLE, "HTTP status 503: "),
        (headers_frame(1, [(b":status", b"401")]), grpc.UNAUTHENTICATED, "HTTP status"),
        (headers_frame(1, [(b":status", b"418")]), grpc.UNKNOWN, "HTTP status"),
        (rst_stream(1, ErrorCode.REFUSED_STREAM), grpc.UNAVAILABLE, NOT_LOOKED_AT),
        (
            answer_headers() + rst_stream(1, ErrorCode.REFUSED_STREAM),
            grpc.UNAVAILABLE,
            "ended the call (code 7)",
        ),
        (headers_frame(1, [(b"a", b"b")]), grpc.UNAVAILABLE, "ended the call (code 1)"),
        (answer_headers() * 2, grpc.UNAVAILABLE, "ended the call (code 1)"),
    ],
    ids=[
        "no status",
        "status that is none",
        "status that is endless",
        "OK without a message",
        "no trailers",
        "two messages",
        "half a message",
        "message too large",
        "compressed message",
        "HTTP 503",
        "HTTP 401",
        "HTTP 418",
        "refused",
        "refused too late",
        "no :status",
        "headers twice",
    ],
)
def test_broken_answer_ends_the_call_once(data: bytes, status: int, text: str) -> None:
    """And nothing of it is kept, and other calls go on."""
    client = asked(Limits(message_bytes_max=100))
    client.engine.call(ECHO, b"", client.answers.append)
    client.hear(data)
    (answer,) = client.answers
    assert answer.status == status
    assert text in answer.text
    assert list(client.engine.streams) == [3]
    client.hear(trailers(), data_frame(1, b"late"))
    client.hear(whole_answer(b"other", stream_id=3))
    assert client.answers[1:] == [Answer(grpc.OK, "", b"other")]


def test_refusal_with_a_status_is_read_whatever_http_says() -> None:
    client = asked()
    fields = [(b":status", b"415"), (b"grpc-status", b"13"), (b"grpc-message", b"no")]
    client.hear(headers_frame(1, fields, end=True))
    assert client.answers == [Answer(13, "no")]


def test_lost_connection_ends_all_calls() -> None:
    client = asked()
    stream = client.engine.open(CHAT, client.answers.append, client.messages.append)
    client.engine.lost()
    assert (
        client.answers == [Answer(grpc.UNAVAILABLE, "localhost:2379 is gone: connection lost")] * 2
    )
    assert not client.engine.can_call
    stream.send(bytes(100))
    stream.half_close()
    stream.cancel()
    assert not stream.out_queue


def test_fault_of_the_server_ends_all_calls() -> None:
    client = asked()
    expect_end(client.hear(window_update(0, 0)), ErrorCode.PROTOCOL_ERROR)
    assert client.answers == [
        Answer(
            grpc.UNAVAILABLE,
            "localhost:2379 breaks the protocol: PROTOCOL_ERROR: WINDOW_UPDATE of 0",
        )
    ]


@pytest.mark.parametrize(
    "bad",
    [
        headers_frame(7, OK_HEADERS),
        data_frame(7, b""),
        headers_frame(2, OK_HEADERS),
        rst_stream(7, ErrorCode.CANCEL),
        frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\x02"),
        frames.settings({frames.ENABLE_PUSH: 1}),
    ],
    ids=["HEADERS", "DATA", "HEADERS of a push", "RST_STREAM", "PUSH_PROMISE", "ENABLE_PUSH"],
)
def test_answer_to_no_call_ends_the_connection(bad: bytes) -> None:
    client = asked()
    expect_end(client.hear(bad), ErrorCode.PROTOCOL_ERROR)


def test_goaway_ends_the_calls_that_the_server_will_not_look_at() -> None:
    client = asked()
    client.engine.call(ECHO, b"", client.answers.append)
    client.hear(frames.goaway(1, ErrorCode.NO_ERROR))
    assert client.answers == [Answer(grpc.UNAVAILABLE, NOT_LOOKED_AT)]
    assert not client.engine.can_call
    client.hear(whole_answer(b"first"))
    assert client.answers[-1] == Answer(grpc.OK, "", b"first")


def test_server_says_how_many_calls_it_takes() -> None:
    client = asked()
    client.hear(frames.settings({frames.MAX_CONCURRENT_STREAMS: 1}))
    assert not client.engine.can_call
    client.hear(whole_answer(b""))
    assert client.engine.can_call


def test_large_request_waits_for_the_windows_of_the_server() -> None:
    client = ClientUnderTest()
    message = bytes(200_000)
    client.engine.call(ECHO, message, client.answers.append)
    sent = [one for one in client.output() if one.kind == frames.DATA]
    assert sum(len(one.payload) for one in sent) == 65_535
    rest = client.hear(window_update(0, 200_000), window_update(1, 200_000))
    assert b"".join(one.payload for one in sent + rest) == frame_message(message)
    assert [one.is_last for one in rest][-2:] == [False, True]


def test_stream_sends_until_it_half_closes() -> None:
    client = ClientUnderTest()
    stream = client.engine.open(CHAT, client.answers.append, client.messages.append)
    stream.send(b"one")
    stream.half_close()
    stream.send(b"two")
    stream.half_close()
    assert [(one.payload, one.is_last) for one in client.output()[1:]] == [
        (frame_message(b"one"), False),
        (b"", True),
    ]
    two = frame_message(b"a") + frame_message(b"b")
    client.hear(answer_headers(), data_frame(1, two), trailers())
    assert (client.messages, client.answers) == ([b"a", b"b"], [Answer(grpc.OK, "")])


def test_stream_that_the_server_ends_is_not_sent_to() -> None:
    client = ClientUnderTest()
    stream = client.engine.open(CHAT, client.answers.append, client.messages.append)
    stream.send(bytes(100_000))
    client.output()
    (reset,) = client.hear(answer_headers(end=True, grpc_status="9"))
    assert (reset.kind, reset.code) == (frames.RST_STREAM, ErrorCode.NO_ERROR)
    stream.send(b"late")
    assert client.hear(window_update(0, 100_000)) == []
    assert not client.engine.streams


def test_cancelled_call_says_nothing_more() -> None:
    client = ClientUnderTest()
    call = client.engine.call(ECHO, bytes(100_000), client.answers.append)
    client.output()
    call.cancel()
    call.cancel()
    (reset,) = client.output()
    assert (reset.kind, reset.code) == (frames.RST_STREAM, ErrorCode.CANCEL)
    client.hear(whole_answer(b"late"))
    assert client.answers == []
    assert not client.engine.streams


def test_long_metadata_goes_on_in_continuations() -> None:
    client = ClientUnderTest()
    metadata = literal(b"token", b"x" * 40_000)
    client.engine.call(ECHO, b"", client.answers.append, metadata=metadata)
    assert kinds(client.output()) == [
        frames.HEADERS,
        frames.CONTINUATION,
        frames.CONTINUATION,
        frames.DATA,
    ]


@pytest.mark.parametrize("size", [0, 1, 16_380, 1_572_864])
@pytest.mark.parametrize("window", [1_000, 65_535, 16 * 1024 * 1024])
def test_both_sides_understand_each_other(size: int, window: int) -> None:
    """With tiny windows and wide ones, of the streams."""
    limits = Limits(stream_window_bytes=window, message_bytes_max=2_000_000)
    client = ClientUnderTest(limits)
    methods = TestMethods()
    server = ServerConnection(methods, limits)
    server.receive(client.greeting)
    exchange(client.engine, server)
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    client.engine.call(ECHO, message, client.answers.append)
    stream = client.engine.open(CHAT, client.answers.append, client.messages.append)
    stream.send(message)
    exchange(client.engine, server)
    stream.half_close()
    exchange(client.engine, server)
    assert sorted(client.answers) == [Answer(grpc.OK, ""), Answer(grpc.OK, "", message)]
    assert client.messages == [message]
    assert not client.engine.streams
    assert not server.streams


def test_settings_of_ours_are_acknowledged_by_ours() -> None:
    client = ClientUnderTest()
    server = ServerConnection(TestMethods(), Limits())
    server.receive(client.greeting)
    exchange(client.engine, server)
    server.receive(SETTINGS)
    exchange(client.engine, server)
    assert (client.engine.is_closed, server.is_closed) == (False, False)


def test_server_pushes_messages_until_it_is_cancelled() -> None:
    client = ClientUnderTest()
    methods = TestMethods()
    server = ServerConnection(methods, Limits())
    server.receive(client.greeting)
    stream = client.engine.open(FEED, client.answers.append, client.messages.append)
    exchange(client.engine, server)
    (call,) = methods.calls
    for number in range(100):
        call.send(b"%d" % number)
    exchange(client.engine, server)
    stream.cancel()
    exchange(client.engine, server)
    call.send(b"late")
    assert client.messages == [b"%d" % number for number in range(100)]
    assert methods.cancelled == [call]
    assert not server.has_output


def test_calls_end_with_the_numbers_of_streams() -> None:
    """Section 5.1.1: they are not used again; a new connection has new ones. The last call is answered."""
    client = asked()
    client.engine._next_stream_id = frames.STREAM_ID_MAX
    assert client.engine.can_call
    client.engine.call(ECHO, b"question", client.answers.append)
    assert not client.engine.can_call
    client.hear(whole_answer(b"answer", frames.STREAM_ID_MAX), whole_answer(b"answer"))
    assert client.answers == [Answer(grpc.OK, "", b"answer")] * 2


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            answer_headers() + data_frame(1, frame_message(bytes(20_000))[:15_000]),
            "localhost:2379 breaks the protocol: ENHANCE_YOUR_CALM: too many unfinished messages",
        ),
        (
            frames.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings"),
            "localhost:2379 ended the connection (code 11): too_many_pings",
        ),
        (frames.goaway(1, ErrorCode.NO_ERROR, "bye"), "localhost:2379 is gone: connection lost"),
    ],
    ids=["ours", "the server's", "none"],
)
def test_end_of_the_connection_is_told_with_its_reason(data: bytes, text: str) -> None:
    client = asked(Limits(unfinished_bytes_max=10_000))
    client.hear(data)
    client.engine.lost()
    assert client.answers == [Answer(grpc.UNAVAILABLE, text)]


def test_scheme_is_https_over_tls() -> None:
    block = request_block(ECHO, "localhost", is_tls=True)
    assert dict(hpack.Decoder().decode(block, raw=True))[b":scheme"] == b"https"
