"""The server side: requests become calls, and calls are answered.

    connection = ServerConnection(methods, limits)
    connection.receive(data); socket.write(connection.take_output())

`methods` says what a path is. A unary method gets its call and the one message together; a streaming method gets the
call and says who takes its messages. Nothing waits here: a call is answered whenever its owner likes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from raftwerk.http2 import frames, grpc
from raftwerk.http2.connection import Connection, Stream
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.frames import END_HEADERS, END_STREAM, HEADERS, PREFACE, frame, header_frames
from raftwerk.http2.grpc import MessageFault, MessageReader
from raftwerk.http2.headers import HeaderDecoder, Headers, literal_indexed_name
from raftwerk.http2.limits import Limits

_STATUS_200: Final = b"\x88"
_CONTENT_TYPE: Final = literal_indexed_name(31, b"application/grpc")
_RESPONSE: Final = _STATUS_200 + _CONTENT_TYPE
_TRAILERS_OK: Final = grpc.status_block(grpc.OK)

# Pieces of a unary answer that fits one DATA frame: only the stream id and the message differ
_RESPONSE_HEAD: Final = frame(HEADERS, END_HEADERS, 0, _RESPONSE)[:5]
_TRAILERS_HEAD: Final = frame(HEADERS, END_HEADERS | END_STREAM, 0, _TRAILERS_OK)[:5]
_CONNECTION_HEADERS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)


@dataclass(frozen=True, slots=True)
class UnaryMethod:
    """handle(call, message): answer with call.reply or call.finish, now or later."""

    handle: "Callable[[Call, bytes], None]"


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """open(call): set call.on_message and the others, and answer with call.send and call.finish."""

    open: "Callable[[Call], None]"


Method = UnaryMethod | StreamMethod


class Methods(Protocol):
    """What there is to call."""

    def find(self, path: str) -> Method | str:
        """The method at a path like /etcdserverpb.KV/Put, or the text of the refusal (UNIMPLEMENTED)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a header block asks for. refusal: (HTTP status, gRPC status, text) when it cannot be had."""

    path: str
    headers: Headers
    timeout_s: float | None
    method: Method | None
    refusal: tuple[int, int, str] | None
    is_gzip: bool


class Call(Stream):
    """One call on the server."""

    __slots__ = (
        "_connection",
        "_has_answered",
        "_message",
        "on_cancel",
        "on_drain",
        "on_half_close",
        "on_message",
        "request",
    )

    def __init__(
        self, connection: "ServerConnection", stream_id: int, send_window: int, request: Request
    ) -> None:
        limits = connection.limits
        super().__init__(
            stream_id, send_window, MessageReader(limits.message_bytes_max, is_gzip=request.is_gzip)
        )
        self._connection = connection
        self._has_answered = False
        """Response headers were sent."""
        self._message: bytes | None = None
        """Unary: the message, until the request is complete."""
        self.request = request
        self.on_message: Callable[[bytes], None] | None = None
        """Streaming: gets each message."""
        self.on_half_close: Callable[[], None] | None = None
        """Streaming: the client will send no more."""
        self.on_cancel: Callable[[], None] | None = None
        """The client gave up, or is gone. Answers are ignored from now on."""
        self.on_drain: Callable[[], None] | None = None
        """Everything that was sent has left."""

    @property
    def is_over(self) -> bool:
        """Answered, cancelled, or the connection is gone."""
        return self.is_local_closed or self.out_trailers is not None

    def reply(self, message: bytes) -> None:
        """Answer a unary call with OK: headers, message and trailers in one write when the windows allow."""
        if self.is_over:
            return
        connection = self._connection
        size = len(message) + 5
        if size > connection.single_frame_max or size > self.send_window or self._has_answered:
            self.send(message)
            self.finish()
            return
        connection.reply(self, message, size)

    def send(self, message: bytes) -> None:
        """One message of a streaming answer."""
        if self.is_over:
            return
        self._answer_headers()
        self._connection.send_data(self, grpc.frame_message(message))
        self._connection.changed()

    def finish(self, status: int = grpc.OK, text: str = "") -> None:
        """End the call with a status; after messages, or alone."""
        if self.is_over:
            return
        connection = self._connection
        block = grpc.status_block(status, text)
        if not self._has_answered:
            block = _RESPONSE + block
        trailers = header_frames(self.stream_id, block, connection.peer_frame_max, end_stream=True)
        connection.end_call(self, trailers)

    def refuse_http(self, http_status: int, status: int, text: str) -> None:
        """End a call that is not gRPC in a way that both a gRPC and a plain HTTP/2 client understand."""
        block = literal_indexed_name(8, str(http_status).encode()) + _CONTENT_TYPE
        block += grpc.status_block(status, text)
        connection = self._connection
        trailers = header_frames(self.stream_id, block, connection.peer_frame_max, end_stream=True)
        connection.end_call(self, trailers)

    def _answer_headers(self) -> None:
        if not self._has_answered:
            self._has_answered = True
            self._connection.write(frame(HEADERS, END_HEADERS, self.stream_id, _RESPONSE))

    # What the engine calls

    def on_messages(self, messages: list[bytes], *, is_last: bool) -> None:
        method = self.request.method
        if isinstance(method, UnaryMethod):
            self._on_unary(method, messages, is_last=is_last)
            return
        for message in messages:
            if self.on_message is not None and not self.is_over:
                self.on_message(message)
        if is_last and self.on_half_close is not None and not self.is_over:
            self.on_half_close()

    def _on_unary(self, method: UnaryMethod, messages: list[bytes], *, is_last: bool) -> None:
        if len(messages) > 1 or (messages and self._message is not None):
            self.finish(grpc.INTERNAL, "grpc: a unary call carries one message")
            return
        if messages:
            self._message = messages[0]
        if is_last and not self.is_over:
            message, self._message = self._message, None
            if message is None:
                self.finish(grpc.INTERNAL, "grpc: a unary call carries one message, none came")
            else:
                method.handle(self, message)

    def on_message_fault(self, fault: MessageFault) -> None:
        if not self.is_over:
            self.finish(fault.status, fault.text)

    def on_reset(self, code: int) -> None:
        self.is_local_closed = True
        if self.on_cancel is not None:
            on_cancel, self.on_cancel = self.on_cancel, None
            on_cancel()

    def on_drained(self) -> None:
        if self.on_drain is not None:
            self.on_drain()


class ServerConnection(Connection[Call]):
    """One connection from a client."""

    IS_CLIENT: ClassVar[bool] = False

    def __init__(
        self, methods: Methods, limits: Limits, on_change: Callable[[], None] | None = None
    ) -> None:
        """on_change: called when there is output that no `receive` in progress will lead to being written."""
        super().__init__(limits)
        self._methods = methods
        self._decoder: HeaderDecoder[Request] = HeaderDecoder(limits.header_list_bytes_max)
        self._preface = PREFACE
        self._on_change = on_change
        self._is_receiving = False
        self._resets = 0
        self._is_draining = False
        self.calls_total = 0

    def receive(self, data: bytes) -> None:
        self._is_receiving = True
        try:
            if self._preface:
                data = self._take_preface(data)
            if data:
                super().receive(data)
        finally:
            self._is_receiving = False

    def _take_preface(self, data: bytes) -> bytes:
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            self._preface = b""
            self._fail(ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2"))
            return b""
        self._preface = self._preface[size:]
        return data[size:]

    def changed(self) -> None:
        """There is output: let the shell know, if it does not look anyway."""
        if not self._is_receiving and self._on_change is not None:
            self._on_change()

    def drain(self) -> None:
        """Take no new calls; those that are open may end."""
        self._is_draining = True
        self.goaway()
        self.changed()

    # For calls

    @property
    def single_frame_max(self) -> int:
        """The largest DATA payload that can be sent now in one frame."""
        return min(self._send_window, self._peer_frame_max) if not self._blocked else 0

    @property
    def peer_frame_max(self) -> int:
        return self._peer_frame_max

    def write(self, data: bytes) -> None:
        self._out.append(data)

    def reply(self, call: Call, message: bytes, size: int) -> None:
        """A whole unary answer that fits the windows."""
        stream_id = call.stream_id.to_bytes(4, "big")
        self._send_window -= size
        self._idle_frames = 0
        self._out.append(
            b"".join(
                (
                    _RESPONSE_HEAD,
                    stream_id,
                    _RESPONSE,
                    size.to_bytes(3, "big"),
                    b"\0\0",
                    stream_id,
                    b"\0",
                    (size - 5).to_bytes(4, "big"),
                    message,
                    _TRAILERS_HEAD,
                    stream_id,
                    _TRAILERS_OK,
                )
            )
        )
        call.is_local_closed = True
        self._ended(call)

    def end_call(self, call: Call, trailers: bytes) -> None:
        self.end(call, trailers)
        self._ended(call)

    def _ended(self, call: Call) -> None:
        self._resets = max(0, self._resets - 1)
        if call.is_local_closed and not call.is_remote_closed:
            # The client may still be sending what nobody wants: tell it to stop (RFC 9113, section 8.1)
            self._out.append(frames.rst_stream(call.stream_id, ErrorCode.NO_ERROR))
            call.is_remote_closed = True
        self._forget_if_done(call)
        self.changed()

    # Requests

    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        call = self.streams.get(stream_id)
        if call is not None:
            self._on_request_trailers(call, block, end_stream=end_stream)
            return
        if not stream_id % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a client opened stream {stream_id}")
        if stream_id <= self._last_stream_id:
            self._decoder.decode(block)
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"stream {stream_id} was used before")
        self._last_stream_id = stream_id
        request = self._decoder.cached(block)
        if request is None:
            request = self._parse(stream_id, self._decoder.decode(block))
            self._decoder.keep(block, request)
        if len(self.streams) >= self.limits.streams_max or self._is_draining:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        self.calls_total += 1
        call = Call(self, stream_id, self._peer_stream_window, request)
        self.streams[stream_id] = call
        call.is_remote_closed = end_stream
        if request.refusal is not None:
            http_status, status, text = request.refusal
            if http_status == 200:
                call.finish(status, text)
            else:
                call.refuse_http(http_status, status, text)
        elif isinstance(request.method, StreamMethod):
            request.method.open(call)
            if end_stream:
                call.on_messages([], is_last=True)
        elif end_stream:
            call.on_messages([], is_last=True)

    def _on_request_trailers(self, call: Call, block: bytes, *, end_stream: bool) -> None:
        self._decoder.decode(block)
        if not end_stream:
            raise StreamFault(call.stream_id, ErrorCode.PROTOCOL_ERROR, "headers in the middle")
        if call.is_remote_closed:
            raise StreamFault(call.stream_id, ErrorCode.STREAM_CLOSED, "headers after the end")
        call.is_remote_closed = True
        call.on_messages([], is_last=True)
        self._forget_if_done(call)

    def _on_peer_reset(self) -> None:
        self._resets += 1
        if self._resets > self.limits.resets_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams were reset")

    def _parse(self, stream_id: int, headers: Headers) -> Request:
        """Check a request's headers (RFC 9113, section 8.3; the gRPC protocol) and find its method."""
        pseudo = _split_pseudo(stream_id, headers)
        regular = headers[len(pseudo) :]
        fields = dict(regular)
        content_type = fields.get(b"content-type", b"")
        timeout = fields.get(b"grpc-timeout")
        timeout_s = grpc.parse_timeout_s(timeout) if timeout is not None else None
        path = pseudo[b":path"].decode("latin-1")
        method: Method | None = None
        refusal: tuple[int, int, str] | None = None
        if pseudo[b":method"] != b"POST":
            refusal = (
                405,
                grpc.INTERNAL,
                f"gRPC calls are POST, not {pseudo[b':method'].decode('latin-1')}",
            )
        elif not content_type.startswith(b"application/grpc"):
            refusal = (
                415,
                grpc.INTERNAL,
                f"invalid gRPC request content-type {content_type.decode('latin-1')!r}",
            )
        elif timeout is not None and timeout_s is None:
            refusal = (200, grpc.INTERNAL, f"malformed grpc-timeout: {timeout.decode('latin-1')}")
        else:
            found = self._methods.find(path)
            if isinstance(found, str):
                refusal = (200, grpc.UNIMPLEMENTED, found)
            else:
                method = found
        is_gzip = fields.get(b"grpc-encoding") == b"gzip"
        return Request(path, regular, timeout_s, method, refusal, is_gzip)


def _split_pseudo(stream_id: int, headers: Headers) -> dict[bytes, bytes]:
    """The pseudo-header fields, which stand first. Raises StreamFault for a malformed request."""
    pseudo: dict[bytes, bytes] = {}
    for position, (name, value) in enumerate(headers):
        if name.startswith(b":"):
            is_known = name in (b":method", b":scheme", b":authority", b":path")
            if position != len(pseudo) or not is_known:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, f"header {name!r}")
            pseudo[name] = value
        elif name != name.lower() or name in _CONNECTION_HEADERS or not name:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, f"header {name!r}")
        elif name == b"te" and value != b"trailers":
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, f"te: {value!r}")
    if not {b":method", b":scheme", b":path"} <= pseudo.keys() or not pseudo[b":path"]:
        raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "pseudo-headers are missing")
    return pseudo


__all__ = [
    "Call",
    "Limits",
    "Method",
    "Methods",
    "Request",
    "ServerConnection",
    "StreamMethod",
    "UnaryMethod",
]
