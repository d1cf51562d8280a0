"""What is counted of calls, however they end."""

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import rst_stream
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.tally import Tally
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    SETTINGS,
    ServerUnderTest,
    call_frames,
    data_frame,
    headers_frame,
    request_headers,
)

CANCELLED = 1


def tally(server: ServerUnderTest, path: str) -> Tally:
    return server.methods.by_path[path].tally


def test_failures_are_kept_apart() -> None:
    numbers = Tally()
    for status in (0, 5, 5, 0, 13):
        numbers.end(status, 0.5)
    assert (numbers.count, numbers.succeeded) == (5, 2)
    assert numbers.failed == {5: 2, 13: 1}
    assert numbers.sum_s == 2.5


def test_answered_call_has_succeeded_in_its_time() -> None:
    server = ServerUnderTest()
    server.now_s = 10.0
    server.say(call_frames(1, HOLD))
    numbers = tally(server, HOLD)
    assert (numbers.started, numbers.count) == (1, 0)
    server.now_s = 10.25
    server.methods.calls[0].reply(b"answer")
    server.methods.calls[0].reply(b"again")
    server.output()
    assert (numbers.started, numbers.succeeded, numbers.sum_s) == (1, 1, 0.25)


def test_calls_answered_together_are_counted_each_with_its_method_and_its_time() -> None:
    server = ServerUnderTest()
    server.now_s = 10.0
    server.engine.receive(call_frames(1, HOLD) + call_frames(3, HOLD))
    server.now_s = 11.0
    server.engine.receive(call_frames(5, HOLD))
    *others, last = server.methods.calls
    server.engine.receive(call_frames(7, ECHO))
    for call in (last, *others):
        call.reply(b"answer")
    server.now_s = 12.0
    hold, echo = tally(server, HOLD), tally(server, ECHO)
    for _ in range(2):  # once each, however often there is output
        server.say(SETTINGS)
        assert (hold.succeeded, hold.sum_s) == (3, 2.0 + 2.0 + 1.0)
        assert (echo.succeeded, echo.sum_s) == (1, 1.0)


@pytest.mark.parametrize("size", [5, 100_000])
def test_call_is_counted_once_whatever_its_size(size: int) -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, ECHO, bytes(size)))
    numbers = tally(server, ECHO)
    assert (numbers.started, numbers.count, numbers.failed) == (1, 1, {})


def test_refused_call_is_counted_by_its_status() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    server.methods.calls[0].finish(5, "not found")
    assert tally(server, HOLD).failed == {5: 1}


def test_call_that_the_client_gave_up_is_cancelled() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), rst_stream(1, ErrorCode.CANCEL))
    assert tally(server, HOLD).failed == {CANCELLED: 1}


def test_calls_of_a_lost_connection_are_cancelled() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), headers_frame(3, request_headers(FEED)))
    server.engine.lost()
    assert tally(server, HOLD).failed == tally(server, FEED).failed == {CANCELLED: 1}


def test_answered_call_that_waits_for_a_window_is_not_cancelled_too() -> None:
    server = ServerUnderTest()
    server.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 3}))
    server.say(call_frames(1, ECHO))
    server.engine.lost()
    assert (tally(server, ECHO).count, tally(server, ECHO).failed) == (1, {})


def test_answered_call_is_counted_though_the_answer_never_leaves() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    server.methods.calls[0].reply(b"answer")
    server.engine.lost()
    numbers = tally(server, HOLD)
    assert (numbers.started, numbers.succeeded, numbers.failed) == (1, 1, {})


def test_messages_of_a_stream_are_counted() -> None:
    server = ServerUnderTest()
    server.say(headers_frame(1, request_headers(CHAT)))
    server.say(data_frame(1, frame_message(b"a") + frame_message(b"b")))
    server.say(data_frame(1, frame_message(b"c"), end=True))
    numbers = tally(server, CHAT)
    assert (numbers.received, numbers.sent, numbers.succeeded) == (3, 3, 1)
