"""Calls whose client reads too slowly: they are told, and told again when it has read. And how our client does that."""

import pytest

from raftwerk.http2 import frames, grpc
from raftwerk.http2.call import Call
from raftwerk.http2.client import Answer
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import rst_stream, window_update
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import ServerConnection
from tests.http2.talk import (
    ECHO,
    FEED,
    ClientUnderTest,
    ServerUnderTest,
    TestMethods,
    exchange,
    frames_in,
    headers_frame,
    request_headers,
)

BACKLOG = 1000
WINDOW = 65_535


def feed(server: ServerUnderTest, stream_id: int = 1) -> Call:
    server.say(headers_frame(stream_id, request_headers(FEED)))
    return server.methods.calls[-1]


@pytest.fixture
def server() -> ServerUnderTest:
    return ServerUnderTest(Limits(backlog_bytes_max=BACKLOG))


def test_messages_together_are_the_same_in_fewer_frames(server: ServerUnderTest) -> None:
    call = feed(server)
    call.send_all([b"one", b"", b"three"])
    headers, data = server.output()
    assert headers.kind == frames.HEADERS
    assert data.payload == b"\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three"
    call.send_all([])
    call.finish()
    call.send_all([b"late"])
    assert [one.payload for one in server.output() if one.kind == frames.DATA and one.payload] == []


def test_output_that_was_not_taken_clogs(server: ServerUnderTest) -> None:
    call, other = feed(server, 1), feed(server, 3)
    call.send(b"x" * BACKLOG)
    assert call.is_clogged
    assert other.is_clogged, "it is the connection's"
    call.await_drain()
    server.engine.on_written()
    assert server.methods.drained == []
    server.output()
    assert not call.is_clogged
    server.engine.on_written()
    server.engine.on_written()
    assert server.methods.drained == [call], "once"


def test_bytes_that_wait_for_the_streams_window_clog_it_alone(server: ServerUnderTest) -> None:
    server.say(window_update(0, 10 * WINDOW))
    call, other = feed(server, 1), feed(server, 3)
    call.send(b"x" * (WINDOW + BACKLOG))
    server.output()
    assert (call.is_clogged, other.is_clogged) == (True, False)
    server.say(window_update(1, 2 * BACKLOG))
    assert not call.is_clogged
    assert server.methods.drained == [call]


def test_socket_that_takes_nothing_clogs_all(server: ServerUnderTest) -> None:
    calls = [feed(server, 1), feed(server, 3)]
    server.engine.is_blocked = True
    assert [call.is_clogged for call in calls] == [True, True]
    for call in calls:
        call.await_drain()
    server.engine.on_written()
    assert server.methods.drained == []
    server.engine.is_blocked = False
    server.engine.on_written()
    assert server.methods.drained == calls


def test_call_may_end_another_one_that_would_be_told_after_it(server: ServerUnderTest) -> None:
    first, second = feed(server, 1), feed(server, 3)
    server.engine.is_blocked = True
    for call in (first, second):
        call.await_drain()
    first.on_drain = second.finish
    server.engine.is_blocked = False
    server.engine.on_written()
    assert second.is_over
    assert server.methods.drained == []


@pytest.mark.parametrize("end", ["reset", "finish", "lost"])
def test_call_that_is_over_is_not_told(server: ServerUnderTest, end: str) -> None:
    call = feed(server)
    server.engine.is_blocked = True
    call.await_drain()
    if end == "reset":
        server.say(rst_stream(1, ErrorCode.CANCEL))
    elif end == "finish":
        call.finish()
    else:
        server.engine.lost()
    server.engine.is_blocked = False
    server.engine.on_written()
    assert server.methods.drained == []
    frames_in(server.engine.take_output())


def test_call_that_is_paused_gets_what_the_window_holds_and_the_rest_when_it_goes_on() -> None:
    """Others go on meanwhile."""
    limits = Limits(stream_window_bytes=10_000)
    client, methods = ClientUnderTest(limits), TestMethods()
    server = ServerConnection(methods, Limits())
    server.receive(client.greeting)
    stream = client.engine.open(FEED, client.answers.append, client.messages.append)
    exchange(client.engine, server)
    stream.pause()
    (call,) = methods.calls
    for _ in range(100):
        call.send(bytes(995))
    exchange(client.engine, server)
    assert len(client.messages) == 10
    client.engine.call(ECHO, b"another", client.answers.append)
    exchange(client.engine, server)
    assert client.answers == [Answer(grpc.OK, "", b"another")]
    stream.resume()
    exchange(client.engine, server)
    assert len(client.messages) == 100
