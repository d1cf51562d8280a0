"""A client that pings too often is cut off as etcd does it; one that keeps to the rules never is."""

from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame
from raftwerk.http2.limits import Limits
from raftwerk.http2.pings import INTERVAL_WITHOUT_CALLS_S, STRIKES_MAX, Pings
from tests.http2.talk import (
    CHAT,
    ECHO,
    HOLD,
    ServerUnderTest,
    call_frames,
    data_frame,
    expect_end,
    headers_frame,
    kinds,
    request_headers,
)

PING = frame(frames.PING, 0, 0, b"question")
INTERVAL_S = 5.0


def first_too_many(step_s: float, *, has_calls: bool, answers: int = 0, count: int = 50) -> int:
    """The number of the PING that is one too many, of those that come every step_s; 0: none is."""
    pings = Pings(INTERVAL_S)
    for number in range(1, count + 1):
        if pings.are_too_many(1000.0 + number * step_s, number * answers, has_calls=has_calls):
            return number
    return 0


def test_third_strike_is_one_too_many() -> None:
    assert first_too_many(4.9, has_calls=True) == 1 + STRIKES_MAX + 1
    assert first_too_many(5.0, has_calls=True) == 0


def test_without_calls_there_is_hardly_a_reason_to_ask() -> None:
    assert first_too_many(60, has_calls=False) == 1 + STRIKES_MAX + 1
    assert first_too_many(INTERVAL_WITHOUT_CALLS_S, has_calls=False) == 0


def test_answers_in_between_clear_the_strikes() -> None:
    assert first_too_many(0.01, has_calls=True, answers=1) == 0


def test_strikes_of_the_whole_life_add_up_until_something_is_answered() -> None:
    pings = Pings(INTERVAL_S)
    times = [0, 1, 100, 101, 200, 201]
    counted = [pings.are_too_many(time, 0, has_calls=True) for time in times]
    assert counted == [False] * 5 + [True]


def test_no_limit_asked_for_is_none() -> None:
    pings = Pings(0)
    assert not any(pings.are_too_many(1.0, 0, has_calls=False) for _ in range(1000))


def test_connection_of_a_client_that_pings_too_often_ends() -> None:
    server = ServerUnderTest(Limits(ping_interval_s_min=INTERVAL_S))
    server.say(call_frames(1, HOLD))
    assert kinds(server.say(*[PING] * 3)) == [frames.PING] * 3
    answer = server.say(PING)
    expect_end(answer[1:], ErrorCode.ENHANCE_YOUR_CALM)
    assert answer[-1].payload[8:] == b"too_many_pings"


def test_answers_of_every_kind_count() -> None:
    """The first message, another one, a whole answer, a status alone: each is something that a client may ask about."""
    server = ServerUnderTest(Limits(ping_interval_s_min=INTERVAL_S))
    chat = headers_frame(1, request_headers(CHAT))
    message = data_frame(1, b"\0\0\0\0\1x")
    unknown = headers_frame(5, request_headers("/t.Test/None"), end=True)
    for data in (chat, message, message, call_frames(3, ECHO), unknown):
        server.say(data)
        assert kinds(server.say(*[PING] * 3)) == [frames.PING] * 3
    assert kinds(server.say(PING)) == [frames.PING, frames.GOAWAY]


def test_answers_to_the_servers_own_pings_are_no_strikes() -> None:
    server = ServerUnderTest(Limits(ping_interval_s_min=INTERVAL_S))
    assert server.say(*[frame(frames.PING, frames.ACK, 0, b"raftwerk")] * 20) == []
