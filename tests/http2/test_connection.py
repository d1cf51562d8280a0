"""The engine of both sides: frames, streams, windows, pings, the end (RFC 9113, sections 5 and 6)."""

import pytest

from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame, rst_stream, window_update
from raftwerk.http2.grpc import frame_message
from raftwerk.http2.limits import Limits
from tests.http2.talk import (
    CHAT,
    ECHO,
    FEED,
    HOLD,
    SETTINGS,
    Frame,
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

PING = frame(frames.PING, 0, 0, b"12345678")


def test_ping_is_answered_with_its_bytes() -> None:
    assert ServerUnderTest().say(PING) == [Frame(frames.PING, frames.ACK, 0, b"12345678")]


def test_answer_to_a_ping_is_not_answered() -> None:
    server = ServerUnderTest()
    server.engine.ping(b"question")
    assert server.output() == [Frame(frames.PING, 0, 0, b"question")]
    assert server.say(frame(frames.PING, frames.ACK, 0, b"question")) == []


def test_first_frame_is_settings() -> None:
    server = ServerUnderTest(greet=False)
    expect_end(server.say(frames.PREFACE + PING), ErrorCode.PROTOCOL_ERROR)


def test_first_frame_is_no_acknowledgement() -> None:
    server = ServerUnderTest(greet=False)
    acknowledgement = frame(frames.SETTINGS, frames.ACK, 0, b"")
    expect_end(server.say(frames.PREFACE + acknowledgement), ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [0x0A, 0x10, 0xFF])
@pytest.mark.parametrize("stream_id", [0, 1, 77])
def test_frames_of_unknown_kinds_are_ignored(kind: int, stream_id: int) -> None:
    """Section 4.1, in any state."""
    server = ServerUnderTest()
    assert server.say(frame(kind, 0xFF, stream_id, b"whatever")) == []
    assert answered(server.say(call_frames(1)), 1)[0] == 0


@pytest.mark.parametrize("flag", [0x02, 0x10, 0x40, 0x80])
def test_unknown_flags_are_ignored(flag: int) -> None:
    server = ServerUnderTest()
    assert kinds(server.say(frame(frames.PING, flag, 0, bytes(8)))) == [frames.PING]
    head = bytearray(headers_frame(1))
    head[4] |= flag if flag != frames.HAS_PRIORITY else 0
    assert answered(server.say(head, data_frame(1, frame_message(b"a"), end=True)), 1)[0] == 0


def test_reserved_bit_of_the_stream_is_ignored() -> None:
    server = ServerUnderTest()
    ping = bytearray(PING)
    ping[5] |= 0x80
    assert kinds(server.say(ping)) == [frames.PING]


BAD_FRAMES = {
    "PING on a stream": (frame(frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "short PING": (frame(frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "long PING": (frame(frames.PING, 0, 0, bytes(9)), ErrorCode.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (frame(frames.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "short GOAWAY": (frame(frames.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "RST_STREAM of an idle stream": (rst_stream(9, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM of stream 0": (rst_stream(0, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
    "short RST_STREAM": (frame(frames.RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    "DATA on stream 0": (data_frame(0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on an idle stream": (data_frame(1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on a stream of ours": (data_frame(2, b"x"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on stream 0": (headers_frame(0), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on an even stream": (headers_frame(2), ErrorCode.PROTOCOL_ERROR),
    "PRIORITY on stream 0": (frame(frames.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    "PUSH_PROMISE": (frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE of an idle stream": (window_update(1, 1), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE of 0": (window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "short WINDOW_UPDATE": (frame(frames.WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "window overflow": (window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "frame too large": (frame(0x42, 0, 0, bytes(16_385)), ErrorCode.FRAME_SIZE_ERROR),
    "HTTP/1.1": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ErrorCode.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize(("bad", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_fault_of_the_connection_ends_it(bad: bytes, code: ErrorCode) -> None:
    """GOAWAY with the code, and nothing is taken any more."""
    server = ServerUnderTest()
    expect_end(server.say(bad), code)
    assert server.engine.is_closed
    assert server.engine.fault is not None
    assert server.engine.fault.code == code
    assert server.say(PING) == []


@pytest.mark.parametrize("name", ["short PING", "WINDOW_UPDATE of 0", "frame too large"])
def test_fault_of_the_connection_cancels_the_calls(name: str) -> None:
    server = ServerUnderTest()
    bad, code = BAD_FRAMES[name]
    expect_end(server.say(call_frames(1, HOLD), bad), code)
    assert server.methods.cancelled == server.methods.calls
    assert len(server.methods.calls) == 1
    server.methods.calls[0].reply(b"too late")
    assert server.output() == []


def test_large_frame_is_refused_before_it_has_come() -> None:
    server = ServerUnderTest()
    answer = server.say(frame(frames.DATA, 0, 1, bytes(20_000))[:9])
    expect_end(answer, ErrorCode.FRAME_SIZE_ERROR)


BAD_ON_OPEN = {
    "WINDOW_UPDATE of 0": (window_update(1, 0), ErrorCode.PROTOCOL_ERROR),
    "window overflow": (window_update(1, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "PRIORITY of 4 bytes": (frame(frames.PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
    "DATA after the end": (data_frame(1, b""), ErrorCode.STREAM_CLOSED),
    "HEADERS after the end": (
        headers_frame(1, [(b"a", b"b")], end=True),
        ErrorCode.STREAM_CLOSED,
    ),
}


@pytest.mark.parametrize(("bad", "code"), BAD_ON_OPEN.values(), ids=BAD_ON_OPEN.keys())
def test_fault_of_a_stream_ends_only_that(bad: bytes, code: ErrorCode) -> None:
    """RST_STREAM with the code, the call is cancelled, others go on."""
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    expect_reset(server.say(bad), 1, code)
    assert server.methods.cancelled == server.methods.calls
    assert answered(server.say(call_frames(3)), 3)[0] == 0


def test_priority_is_ignored_on_any_stream() -> None:
    server = ServerUnderTest()
    assert server.say(frame(frames.PRIORITY, 0, 99, bytes(5))) == []
    assert answered(server.say(call_frames(1)), 1)[0] == 0


@pytest.mark.parametrize(
    "late",
    [rst_stream(1, ErrorCode.CANCEL), window_update(1, 10), frame(frames.PRIORITY, 0, 1, bytes(5))],
    ids=["RST_STREAM", "WINDOW_UPDATE", "PRIORITY"],
)
def test_late_frames_for_a_stream_that_ended_are_ignored(late: bytes) -> None:
    """They may have been under way (section 5.1)."""
    server = ServerUnderTest()
    server.say(call_frames(1))
    assert server.say(late) == []
    assert not server.engine.is_closed


def test_late_data_is_refused_but_counts_in_the_window_of_the_connection() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1))
    expect_reset(server.say(data_frame(1, b"late")), 1, ErrorCode.STREAM_CLOSED)
    payload = bytes(16_384)
    updates = [one for _ in range(600) for one in server.say(data_frame(1, payload))]
    assert any(one.kind == frames.WINDOW_UPDATE and not one.stream_id for one in updates)


@pytest.mark.parametrize("stream_id", [1, 3, 5])
def test_stream_ids_only_grow(stream_id: int) -> None:
    """Section 5.1.1: those between are closed too."""
    server = ServerUnderTest()
    server.say(call_frames(5))
    expect_end(server.say(headers_frame(stream_id)), ErrorCode.STREAM_CLOSED)


def test_stream_ids_may_be_left_out() -> None:
    server = ServerUnderTest()
    answer = server.say(call_frames(7), call_frames(2**31 - 1))
    assert answered(answer, 7) == answered(answer, 2**31 - 1)


def test_reset_by_the_client_cancels_the_call() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    assert server.say(rst_stream(1, ErrorCode.CANCEL)) == []
    (call,) = server.methods.calls
    assert server.methods.cancelled == [call]
    call.reply(b"too late")
    assert server.output() == []
    assert not server.engine.streams


# What a client may send


def test_client_is_told_to_go_on() -> None:
    """WINDOW_UPDATEs of stream and connection give back what was taken, once half of it is used."""
    server = ServerUnderTest(Limits(stream_window_bytes=40_000, connection_window_bytes=100_000))
    server.say(headers_frame(1, request_headers(FEED)))
    piece = data_frame(1, bytes(10_000))
    assert server.say(piece) == []
    assert server.say(piece) == [Frame(frames.WINDOW_UPDATE, 0, 1, (20_000).to_bytes(4, "big"))]
    given = [one for _ in range(8) for one in server.say(piece)]
    of_connection = [one for one in given if not one.stream_id]
    assert sum(int.from_bytes(one.payload, "big") for one in of_connection) == 100_000
    assert sum(int.from_bytes(one.payload, "big") for one in given if one.stream_id) == 80_000


def test_padding_counts_in_the_windows() -> None:
    """Section 6.9.1: the whole payload."""
    server = ServerUnderTest(Limits(stream_window_bytes=1_000))
    server.say(headers_frame(1, request_headers(FEED)))
    padded = frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255))
    given = [one for _ in range(4) for one in server.say(padded)]
    assert sum(int.from_bytes(one.payload, "big") for one in given) == 1_024


def test_stream_window_is_enforced() -> None:
    """Sending beyond it is impossible for a client that waits for updates, as they come at half."""
    server = ServerUnderTest(Limits(stream_window_bytes=1_000))
    server.say(headers_frame(1, request_headers(FEED)), headers_frame(3, request_headers(FEED)))
    expect_reset(server.say(data_frame(1, bytes(1_001))), 1, ErrorCode.FLOW_CONTROL_ERROR)
    assert len(server.engine.streams) == 1


def test_connection_window_is_enforced() -> None:
    server = ServerUnderTest(Limits(connection_window_bytes=10_000))
    server.say(headers_frame(1, request_headers(FEED)))
    expect_end(server.say(data_frame(1, bytes(10_001))), ErrorCode.FLOW_CONTROL_ERROR)


def test_large_request_and_answer_over_small_windows() -> None:
    """1.5 MiB both ways; the client's windows are the defaults, and it gives back what it takes."""
    server = ServerUnderTest()
    message = bytes(range(256)) * (1_572_864 // 256)
    wire, received, is_over = frame_message(message), b"", False
    server.say(headers_frame(1, request_headers(ECHO)))
    pieces = [wire[at : at + 16_384] for at in range(0, len(wire), 16_384)]
    answer: list[Frame] = []
    for number, piece in enumerate(pieces, 1):
        answer += server.say(data_frame(1, piece, end=number == len(pieces)))
    while not is_over:
        data = [one for one in answer if one.kind == frames.DATA]
        received += b"".join(one.payload for one in data)
        is_over = answer[-1].is_last
        taken = sum(len(one.payload) for one in data)
        assert taken <= frames.DEFAULT_WINDOW
        if not is_over:
            answer = server.say(window_update(1, taken), window_update(0, taken))
    assert received == wire


def test_negative_window_is_filled_before_anything_is_sent() -> None:
    """Section 6.9.2, through SETTINGS."""
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD))
    server.methods.calls[0].reply(bytes(100_000))
    assert sum(len(one.payload) for one in server.output() if one.kind == frames.DATA) == 65_535
    server.say(window_update(0, 1_000_000), frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    assert server.say(window_update(1, 65_535)) == []
    (one,) = server.say(window_update(1, 1))
    assert len(one.payload) == 1
    rest = server.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 100_000}))
    assert sum(len(one.payload) for one in rest if one.kind == frames.DATA) == 34_469
    assert any(one.is_last for one in rest)


def test_settings_that_overflow_a_window_end_the_connection() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), window_update(1, 2**31 - 1 - 65_535))
    answer = server.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 65_536}))
    expect_end(answer, ErrorCode.FLOW_CONTROL_ERROR)


# The bytes


def conversation() -> bytes:
    """Everything that a good client says, in one piece."""
    return b"".join(
        (
            frames.PREFACE,
            SETTINGS,
            call_frames(1),
            PING,
            headers_frame(3, request_headers(CHAT)),
            data_frame(3, frame_message(b"one")),
            call_frames(5, HOLD),
            data_frame(3, frame_message(b"two"), end=True),
            rst_stream(5, ErrorCode.CANCEL),
            headers_frame(7, request_headers("/t.Test/Missing"), end=True),
        )
    )


WHOLE = ServerUnderTest(greet=False).say(conversation())


@pytest.mark.parametrize("cut", range(len(conversation())))
def test_conversation_is_the_same_wherever_it_is_cut(cut: int) -> None:
    server = ServerUnderTest(greet=False)
    data = conversation()
    assert server.say(data[:cut]) + server.say(data[cut:]) == WHOLE


def test_conversation_is_the_same_byte_by_byte() -> None:
    server = ServerUnderTest(greet=False)
    assert [one for byte in conversation() for one in server.say(bytes((byte,)))] == WHOLE


def test_lost_connection_cancels_all_calls() -> None:
    server = ServerUnderTest()
    server.say(call_frames(1, HOLD), headers_frame(3, request_headers(CHAT)))
    server.engine.lost()
    assert server.methods.cancelled == server.methods.calls
    assert len(server.methods.calls) == 2
    server.engine.lost()
    assert len(server.methods.cancelled) == 2


def test_calls_of_a_lost_connection_keep_nothing() -> None:
    """Their owners may go on to send for a while."""
    server = ServerUnderTest()
    server.say(headers_frame(1, request_headers(FEED)))
    (call,) = server.methods.calls
    call.send(bytes(200_000))
    server.engine.lost()
    call.send(bytes(1_000))
    assert (call.queued_bytes, len(call.out_queue)) == (0, 0)
