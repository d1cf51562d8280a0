"""SETTINGS (RFC 9113, section 6.5)."""

import pytest

from raftwerk.http2 import frames, settings
from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.frames import frame
from raftwerk.http2.limits import Limits
from tests.http2.talk import (
    HOLD,
    SETTINGS,
    Frame,
    ServerUnderTest,
    call_frames,
    expect_end,
    frames_in,
    kinds,
)


def test_server_announces_its_limits() -> None:
    first, update = frames_in(settings.greeting(Limits(), is_client=False))
    assert dict(frames.parse_settings(first.payload)) == {
        frames.MAX_CONCURRENT_STREAMS: 10_000,
        frames.INITIAL_WINDOW_SIZE: 1024 * 1024,
        frames.MAX_FRAME_SIZE: 16_384,
        frames.MAX_HEADER_LIST_SIZE: 64 * 1024,
    }
    widened = int.from_bytes(update.payload, "big")
    assert frames.DEFAULT_WINDOW + widened == Limits().connection_window_bytes


def test_client_says_the_preface_first_and_wants_no_push() -> None:
    greeting = settings.greeting(Limits(), is_client=True)
    assert greeting.startswith(frames.PREFACE)
    first = frames_in(greeting.removeprefix(frames.PREFACE))[0]
    assert dict(frames.parse_settings(first.payload))[frames.ENABLE_PUSH] == 0


def test_default_connection_window_needs_no_update() -> None:
    greeting = settings.greeting(Limits(connection_window_bytes=65_535), is_client=False)
    assert kinds(frames_in(greeting)) == [frames.SETTINGS]


def test_settings_are_acknowledged() -> None:
    server = ServerUnderTest()
    assert server.say(SETTINGS) == [Frame(frames.SETTINGS, frames.ACK, 0, b"")]


def test_acknowledgement_is_not_answered() -> None:
    server = ServerUnderTest()
    assert server.say(frame(frames.SETTINGS, frames.ACK, 0, b"")) == []
    assert not server.engine.is_closed


@pytest.mark.parametrize(
    ("identifier", "value", "code"),
    [
        (frames.INITIAL_WINDOW_SIZE, 2**31, ErrorCode.FLOW_CONTROL_ERROR),
        (frames.MAX_FRAME_SIZE, 16_383, ErrorCode.PROTOCOL_ERROR),
        (frames.MAX_FRAME_SIZE, 2**24, ErrorCode.PROTOCOL_ERROR),
        (frames.ENABLE_PUSH, 2, ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_value_out_of_range_is_a_fault(identifier: int, value: int, code: ErrorCode) -> None:
    payload = frames_in(frames.settings({identifier: value}))[0].payload
    with pytest.raises(ConnectionFault) as caught:
        settings.parse(payload, is_client=False)
    assert caught.value.code == code


def test_server_may_not_enable_push() -> None:
    payload = frames_in(frames.settings({frames.ENABLE_PUSH: 1}))[0].payload
    assert settings.parse(payload, is_client=False) == {frames.ENABLE_PUSH: 1}
    with pytest.raises(ConnectionFault):
        settings.parse(payload, is_client=True)


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        (frames.INITIAL_WINDOW_SIZE, 0),
        (frames.INITIAL_WINDOW_SIZE, 2**31 - 1),
        (frames.MAX_FRAME_SIZE, 16_384),
        (frames.MAX_FRAME_SIZE, 2**24 - 1),
        (frames.HEADER_TABLE_SIZE, 0),
        (frames.HEADER_TABLE_SIZE, 2**32 - 1),
        (0xABCD, 7),
    ],
)
def test_values_at_the_edges_and_unknown_ones_are_taken(identifier: int, value: int) -> None:
    server = ServerUnderTest()
    answer = server.say(frames.settings({identifier: value}))
    assert answer == [Frame(frames.SETTINGS, frames.ACK, 0, b"")]


def test_of_repeated_settings_the_last_counts() -> None:
    one, two = frames.settings({4: 1}), frames.settings({4: 2})
    assert settings.parse(one[9:] + two[9:], is_client=False) == {4: 2}


def test_each_of_repeated_settings_is_checked() -> None:
    wrong, right = frames.settings({5: 1}), frames.settings({5: 16_384})
    with pytest.raises(ConnectionFault):
        settings.parse(wrong[9:] + right[9:], is_client=False)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(frames.SETTINGS, 0, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (frame(frames.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
        (frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
    ],
    ids=["on a stream", "cut short", "acknowledgement with values"],
)
def test_malformed_frame_ends_the_connection(bad: bytes, code: ErrorCode) -> None:
    expect_end(ServerUnderTest().say(bad), code)


def test_peer_that_takes_larger_frames_gets_them() -> None:
    server = ServerUnderTest()
    server.say(frames.settings({frames.MAX_FRAME_SIZE: 20_000}), call_frames(1, HOLD))
    server.methods.calls[0].reply(bytes(19_000))
    assert max(len(one.payload) for one in server.output()) == 19_005
