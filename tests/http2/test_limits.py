"""What a hostile client can send, and the limit that ends it: ENHANCE_YOUR_CALM, and the connection is over."""

from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import CONTINUATION, HEADERS, frame, rst_stream, window_update
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    SETTINGS,
    ServerUnderTest,
    answered,
    block,
    call_frames,
    data_frame,
    expect_end,
    headers_frame,
    kinds,
    request_headers,
)

SMALL = Limits(
    resets_max=20,
    idle_frames_max=20,
    settings_max=20,
    unfinished_bytes_max=20_000,
    buffered_bytes_max=200_000,
    header_block_bytes_max=20_000,
    header_list_bytes_max=20_000,
)
PING = frame(frames.PING, 0, 0, bytes(8))
HALF_MESSAGE = b"\0" + (5_000).to_bytes(4, "big") + bytes(2_000)


def odd() -> Iterator[int]:
    return count(1, 2)


def over_and_over(data: bytes) -> Iterator[bytes]:
    while True:
        yield data


def on_one_stream(data: bytes) -> Iterator[bytes]:
    yield headers_frame(1, request_headers(FEED))
    yield from over_and_over(data)


def continuations(size: int) -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, block(request_headers()))
    yield from over_and_over(frame(CONTINUATION, 0, 1, literal(b"a", bytes(size)) if size else b""))


def rapid_reset() -> Iterator[bytes]:
    for number in odd():
        yield call_frames(number, HOLD) + rst_stream(number, ErrorCode.CANCEL)


def made_you_reset(broken: Callable[[int], bytes]) -> Iterator[bytes]:
    for number in odd():
        yield call_frames(number, HOLD) + broken(number)


def malformed_requests() -> Iterator[bytes]:
    for number in odd():
        yield headers_frame(number, request_headers(Upper="case"))


def half_messages() -> Iterator[bytes]:
    for number in odd():
        yield headers_frame(number, request_headers(ECHO)) + data_frame(number, HALF_MESSAGE)


def messages_without_an_end() -> Iterator[bytes]:
    for number in odd():
        whole = frame_message(bytes(2_000))
        yield headers_frame(number, request_headers(ECHO)) + data_frame(number, whole)


def never_reading() -> Iterator[bytes]:
    yield frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    for number in odd():
        yield call_frames(number, ECHO, bytes(10_000))


def never_reading_one_stream() -> Iterator[bytes]:
    yield frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    yield headers_frame(1, request_headers(CHAT))
    yield from over_and_over(data_frame(1, frame_message(bytes(10_000))))


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "PING": lambda: over_and_over(PING),
    "SETTINGS": lambda: over_and_over(SETTINGS),
    "acknowledgements": lambda: over_and_over(frame(frames.SETTINGS, frames.ACK, 0, b"")),
    "PRIORITY": lambda: over_and_over(frame(frames.PRIORITY, 0, 1, bytes(5))),
    "WINDOW_UPDATE": lambda: over_and_over(window_update(0, 1)),
    "WINDOW_UPDATE of a stream": lambda: on_one_stream(window_update(1, 1)),
    "unknown kind": lambda: over_and_over(frame(0x42, 0, 0, b"x")),
    "empty DATA (CVE-2019-9518)": lambda: on_one_stream(data_frame(1, b"")),
    "SETTINGS between DATA": lambda: on_one_stream(data_frame(1, b"\0") + SETTINGS),
    "CONTINUATION (CVE-2024-27316)": lambda: continuations(100),
    "empty CONTINUATION": lambda: continuations(0),
    "rapid reset (CVE-2023-44487)": rapid_reset,
    "made to reset (CVE-2025-8671)": lambda: made_you_reset(lambda n: window_update(n, 0)),
    "made to reset by priority": lambda: made_you_reset(
        lambda n: frame(frames.PRIORITY, 0, n, bytes(4))
    ),
    "malformed requests": malformed_requests,
    "half messages": half_messages,
    "messages without an end": messages_without_an_end,
    "answers that nobody reads": never_reading,
    "a stream that nobody reads": never_reading_one_stream,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_flood_ends_the_connection(flood: Callable[[], Iterator[bytes]]) -> None:
    """After few frames, with little kept, and all calls are cancelled."""
    server = ServerUnderTest(SMALL)
    answer = []
    for data in islice(flood(), 200):
        answer = server.say(data)
        if server.engine.is_closed:
            break
        assert server.engine._held_bytes <= SMALL.unfinished_bytes_max + 5_000
        assert server.engine._sender.queued_bytes <= SMALL.buffered_bytes_max + 20_000
    expect_end(answer, ErrorCode.ENHANCE_YOUR_CALM)
    assert not server.engine.streams
    assert len(server.methods.cancelled) == len(server.methods.calls)


def test_header_list_too_large_ends_the_connection() -> None:
    """In one frame, and after decoding only."""
    server = ServerUnderTest(Limits(header_list_bytes_max=5_000))
    answer = server.say(headers_frame(1, [*request_headers(), (b"a", bytes(6_000))]))
    expect_end(answer, ErrorCode.ENHANCE_YOUR_CALM)


def test_header_list_at_the_limit_is_taken() -> None:
    """A header counts with 32 bytes of overhead (RFC 7541, section 4.1)."""
    headers = [*request_headers(), (b"a", b"v" * 3_000)]
    size = sum(len(name) + len(value) + 32 for name, value in headers)
    server = ServerUnderTest(Limits(header_list_bytes_max=size))
    answer = server.say(headers_frame(1, headers), data_frame(1, frame_message(b""), end=True))
    assert answered(answer, 1)[0] == 0


@pytest.mark.parametrize("name", ["PING", "SETTINGS", "rapid reset (CVE-2023-44487)"])
def test_limits_count_anew_in_each_period(name: str) -> None:
    """A client that lives for weeks is not cut off for the sum of its pings."""
    server = ServerUnderTest(SMALL)
    for number, data in zip(range(100), FLOODS[name](), strict=False):
        if number % 10 == 0:
            server.engine.new_period()
        server.say(data)
        assert not server.engine.is_closed


@pytest.mark.parametrize(
    "between",
    [headers_frame(3, request_headers(FEED)), data_frame(1, b"\0")],
    ids=["HEADERS", "DATA"],
)
def test_control_frames_between_work_are_no_flood(between: bytes) -> None:
    server = ServerUnderTest(SMALL)
    server.say(headers_frame(1, request_headers(FEED)))
    server.say(*[PING] * 20)
    server.say(between)
    assert kinds(server.say(*[PING] * 20)) == [frames.PING] * 20


def test_window_updates_that_let_data_go_are_no_flood() -> None:
    """A client may read a large answer in the smallest steps."""
    server = ServerUnderTest(SMALL)
    server.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), call_frames(1))
    for _ in range(5 + len(b"hello") - 1):
        assert kinds(server.say(window_update(1, 1))) == [frames.DATA]
    answer = server.say(window_update(1, 1))
    assert answer[-1].is_last


def test_resets_beside_calls_that_complete_are_no_flood() -> None:
    server = ServerUnderTest(SMALL)
    for number in range(1, 400, 4):
        server.say(call_frames(number, HOLD), rst_stream(number, ErrorCode.CANCEL))
        server.say(call_frames(number + 2))
    assert not server.engine.is_closed


def test_streams_that_were_answered_may_be_reset() -> None:
    """A watch ends so, and a client may have many one after the other."""
    server = ServerUnderTest(SMALL)
    for number in range(1, 400, 2):
        server.say(headers_frame(number, request_headers(FEED)))
        server.methods.calls[-1].send(b"created")
        server.say(rst_stream(number, ErrorCode.CANCEL))
    assert not server.engine.is_closed


def test_finished_messages_are_not_held() -> None:
    """The sum is of what has not been worked on: it goes down again, however the calls end."""
    server = ServerUnderTest(Limits(unfinished_bytes_max=SMALL.unfinished_bytes_max))
    for number in range(1, 400, 8):
        for stream_id in (number, number + 2, number + 4):
            head = headers_frame(stream_id, request_headers(ECHO))
            server.say(head, data_frame(stream_id, HALF_MESSAGE))
        server.say(data_frame(number, bytes(3_000), end=True))
        server.say(rst_stream(number + 2, ErrorCode.CANCEL))
        server.say(window_update(number + 4, 0))
        assert server.engine._held_bytes == 0
    assert not server.engine.is_closed


def test_one_message_may_be_larger_than_what_may_wait() -> None:
    server = ServerUnderTest(SMALL)
    server.say(call_frames(1, HOLD), call_frames(3, HOLD))
    server.methods.calls[0].reply(bytes(1_000_000))
    assert not server.engine.is_closed
    server.methods.calls[1].reply(bytes(100_000))
    expect_end(server.output(), ErrorCode.ENHANCE_YOUR_CALM)


def test_answers_that_nobody_fetches_wait_too() -> None:
    """Within wide windows, in the engine's own output: many requests come in one read."""
    server = ServerUnderTest(SMALL)
    server.say(window_update(0, 2**30), frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    server.engine.receive(b"".join(call_frames(n, ECHO, bytes(20_000)) for n in range(1, 61, 2)))
    assert server.engine.is_closed
    assert server.engine.fault is not None
    assert server.engine.fault.code == ErrorCode.ENHANCE_YOUR_CALM
    assert len(server.engine.take_output()) < SMALL.buffered_bytes_max + 50_000


def test_answers_that_are_fetched_do_not_wait() -> None:
    server = ServerUnderTest(SMALL)
    server.say(window_update(0, 2**30), frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}))
    for number in range(1, 61, 2):
        assert answered(server.say(call_frames(number, ECHO, bytes(20_000))), number)[0] == 0


def test_streams_beyond_the_limit_are_refused() -> None:
    """REFUSED_STREAM: it may be tried again (RFC 9113, section 8.7). The others go on."""
    server = ServerUnderTest(Limits(streams_max=2))
    server.say(call_frames(1, HOLD), call_frames(3, HOLD))
    answer = server.say(call_frames(5, HOLD))
    assert [(one.kind, one.code) for one in answer] == [
        (frames.RST_STREAM, ErrorCode.REFUSED_STREAM),
        (frames.RST_STREAM, ErrorCode.STREAM_CLOSED),
    ]
    server.methods.calls[0].reply(b"")
    assert answered(server.output(), 1)[0] == 0
    assert answered(server.say(call_frames(7)), 7)[0] == 0
