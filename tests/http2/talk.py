"""Talking to one side of HTTP/2 frame by frame, and methods to call."""

from collections.abc import Sequence
from typing import NamedTuple

import hpack

from raftwerk.http2 import frames
from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame
from raftwerk.http2.grpc import frame_message, status_block
from raftwerk.http2.headers import Headers, literal
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import (
    Call,
    Method,
    Request,
    ServerConnection,
    StreamMethod,
    UnaryMethod,
)

ECHO, HOLD, CHAT, FEED = "/t.Test/Echo", "/t.Test/Hold", "/t.Test/Chat", "/t.Test/Feed"
SETTINGS = frames.settings({})


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def is_last(self) -> bool:
        return self.kind in (frames.DATA, frames.HEADERS) and bool(self.flags & frames.END_STREAM)

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Of a block that needs no table."""
        return dict(hpack.Decoder().decode(self.payload, raw=True))

    @property
    def code(self) -> ErrorCode:
        """Of RST_STREAM and GOAWAY."""
        offset = 4 if self.kind == frames.GOAWAY else 0
        return ErrorCode(int.from_bytes(self.payload[offset : offset + 4], "big"))


def frames_in(data: bytes) -> list[Frame]:
    """Whole frames, nothing beside them."""
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        stream_id = int.from_bytes(data[5:9], "big")
        found.append(Frame(data[3], data[4], stream_id, data[9 : 9 + length]))
        assert len(found[-1].payload) == length, "half a frame"
        data = data[9 + length :]
    return found


class TestMethods:
    """ECHO: unary, answered at once. HOLD: unary, CHAT: streaming; kept in `calls` with their messages. FEED: the owner talks."""

    __test__ = False

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.messages: list[bytes] = []
        self.half_closed: list[Call] = []
        self.cancelled: list[Call] = []
        self.drained: list[Call] = []
        self.by_path: dict[str, Method] = {
            ECHO: UnaryMethod(Call.reply),
            HOLD: UnaryMethod(self._hold),
            CHAT: StreamMethod(self._chat),
            FEED: StreamMethod(self._feed),
        }

    def find(self, path: str) -> Method | str:
        return self.by_path.get(path, f"unknown method {path}")

    def _hold(self, call: Call, message: bytes) -> None:
        self._feed(call)
        self.messages.append(message)

    def _feed(self, call: Call) -> None:
        self.calls.append(call)
        call.on_cancel = lambda: self.cancelled.append(call)
        call.on_drain = lambda: self.drained.append(call)
        call.on_half_close = lambda: self.half_closed.append(call)

    def _chat(self, call: Call) -> None:
        self._feed(call)

        def answer(message: bytes) -> None:
            self.messages.append(message)
            call.send(message)

        call.on_message = answer
        call.on_half_close = call.finish


def request_headers(path: str = ECHO, **fields: str) -> Headers:
    """What gRPC clients send; `fields` come after it, or replace what stands there."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def block(headers: Headers) -> bytes:
    return b"".join(literal(name, value) for name, value in headers)


def headers_frame(stream_id: int, headers: Headers | None = None, *, end: bool = False) -> bytes:
    flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
    return frame(frames.HEADERS, flags, stream_id, block(headers or request_headers()))


def data_frame(stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
    return frame(frames.DATA, frames.END_STREAM if end else 0, stream_id, payload)


def call_frames(stream_id: int, path: str = ECHO, message: bytes = b"hello") -> bytes:
    """A whole unary call."""
    wire, size = frame_message(message), frames.FRAME_SIZE_MIN
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    data = [data_frame(stream_id, piece) for piece in pieces[:-1]]
    last = data_frame(stream_id, pieces[-1], end=True)
    return b"".join((headers_frame(stream_id, request_headers(path)), *data, last))


OK_HEADERS: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]


def answer_headers(stream_id: int = 1, *, end: bool = False, **fields: str) -> bytes:
    more = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return headers_frame(stream_id, OK_HEADERS + more, end=end)


def trailers(status: int = 0, text: str = "", stream_id: int = 1) -> bytes:
    flags = frames.END_HEADERS | frames.END_STREAM
    return frame(frames.HEADERS, flags, stream_id, status_block(status, text))


def idle_call(stream_id: int, send_window: int) -> Call:
    """A call of which nothing has come yet, on a connection of its own."""
    request = Request("/t.Test/None", [], None, None, False, None, None)
    return Call(ServerConnection(TestMethods(), Limits()), stream_id, send_window, request)


class ServerUnderTest:
    """A server, talked to in frames. After the preface and settings, unless `greet` is false."""

    def __init__(self, limits: Limits | None = None, *, greet: bool = True) -> None:
        self.methods = TestMethods()
        self.changes = 0
        self.now_s = 0.0
        self.engine = ServerConnection(
            self.methods, limits or Limits(), self._on_change, lambda: self.now_s
        )
        self.greeting = frames_in(self.engine.take_output())
        if greet:
            self.say(frames.PREFACE + SETTINGS)

    def _on_change(self) -> None:
        self.changes += 1

    def say(self, *data: bytes) -> list[Frame]:
        """Send; returns what comes back."""
        self.engine.receive(b"".join(data))
        return self.output()

    def output(self) -> list[Frame]:
        return frames_in(self.engine.take_output())


class ClientUnderTest:
    """A client, answered in frames. Its preface and settings have been taken, and ours are known to it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.engine = ClientConnection("localhost:2379", limits or Limits())
        self.greeting = self.engine.take_output()
        self.answers: list[Answer] = []
        self.messages: list[bytes] = []
        self.hear(SETTINGS)

    def hear(self, *data: bytes) -> list[Frame]:
        self.engine.receive(b"".join(data))
        return self.output()

    def output(self) -> list[Frame]:
        return frames_in(self.engine.take_output())


def expect_end(answer: Sequence[Frame], code: ErrorCode) -> None:
    """The last frame is a GOAWAY with this code."""
    assert answer, "nothing was said"
    assert answer[-1].kind == frames.GOAWAY
    assert answer[-1].code == code


def expect_reset(answer: Sequence[Frame], stream_id: int, code: ErrorCode) -> None:
    """The only frame is a RST_STREAM with this code."""
    assert [(one.kind, one.stream_id) for one in answer] == [(frames.RST_STREAM, stream_id)]
    assert answer[0].code == code


def kinds(answer: Sequence[Frame]) -> list[int]:
    return [one.kind for one in answer]


def answered(answer: Sequence[Frame], stream_id: int) -> tuple[int, bytes]:
    """(gRPC status, message bytes with their prefixes) of one call."""
    own = [one for one in answer if one.stream_id == stream_id]
    assert own, "no answer"
    assert own[-1].is_last, "the answer is not complete"
    status = int(own[-1].headers[b"grpc-status"])
    return status, b"".join(one.payload for one in own if one.kind == frames.DATA)


def exchange(client: ClientConnection, server: ServerConnection) -> None:
    """Carry bytes until both are silent."""
    while client.has_output or server.has_output:
        if client.has_output:
            server.receive(client.take_output())
        if server.has_output:
            client.receive(server.take_output())
