"""Calls on the server: the methods that there are, what is asked of one, and how it is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from raftwerk.http2 import grpc
from raftwerk.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, frame, header_frames
from raftwerk.http2.grpc import MessageFault, MessageReader
from raftwerk.http2.headers import Headers, literal_indexed_name
from raftwerk.http2.limits import Limits
from raftwerk.http2.stream import Stream
from raftwerk.http2.tally import Tally

_STATUS_200: Final = b"\x88"
_CONTENT_TYPE: Final = literal_indexed_name(31, b"application/grpc")
_RESPONSE: Final = _STATUS_200 + _CONTENT_TYPE
_TRAILERS_OK: Final = grpc.status_block(grpc.OK)

# Pieces of a unary answer that fits one DATA frame: only the stream id and the message differ
_RESPONSE_HEAD: Final = frame(HEADERS, END_HEADERS, 0, _RESPONSE)[:5]
_TRAILERS_HEAD: Final = frame(HEADERS, END_HEADERS | END_STREAM, 0, _TRAILERS_OK)[:5]
_SHORT_BYTES: Final = 256
"""Of a message: what its size says in front of it stands ready, as most answers to writes are short."""
_SIZED: Final = tuple(
    (frame(DATA, 0, 0, grpc.frame_message(bytes(size)))[:5], grpc.PREFIX.pack(0, size))
    for size in range(_SHORT_BYTES)
)
"""By the size of the message: the frame's head before the stream id, and what follows that."""

JOINED_BYTES_MAX: Final = 64 * 1024
"""A message in parts that is not larger is put together: it costs less than sending them one by one."""


@dataclass(frozen=True, slots=True)
class UnaryMethod:
    """handle(call, message): answer with call.reply or call.finish, now or later."""

    handle: "Callable[[Call, bytes], None]"
    tally: Tally = field(default_factory=Tally, compare=False)


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """open(call): set call.on_message and the others, and answer with call.send and call.finish."""

    open: "Callable[[Call], None]"
    tally: Tally = field(default_factory=Tally, compare=False)


Method = UnaryMethod | StreamMethod


class Methods(Protocol):
    """What there is to call."""

    def find(self, path: str) -> Method | str:
        """The method at a path like /etcdserverpb.KV/Put, or the text of the refusal (UNIMPLEMENTED)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request cannot be had. http_status 200: a gRPC client understands the rest."""

    http_status: int
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the head of a header block asks for.

    headers: without the pseudo-headers. method: None exactly when there is a refusal.
    """

    path: str
    headers: Headers
    timeout_s: float | None
    content_length: int | None
    is_gzip: bool
    method: Method | None
    refusal: Refusal | None


class Carrier(Protocol):
    """What a call needs of its connection (server.ServerConnection)."""

    limits: Limits
    clock: Callable[[], float]
    """Seconds, for how long calls take."""
    common_name: str
    """Of the certificate that the client has shown; "": none."""
    received_at_s: float
    """When the bytes came that are worked on now."""

    @property
    def single_frame_max(self) -> int:
        """The largest DATA payload that can be sent now in one frame."""

    @property
    def peer_frame_max(self) -> int: ...

    def write(self, data: bytes) -> None:
        """Frames without DATA."""

    def write_whole(self, call: "Call", answer: bytes, size: int) -> None:
        """All frames of an answer, with DATA of `size` bytes that fits the windows."""

    def send_data(self, stream: "Call", pieces: Sequence[bytes]) -> None: ...

    def end(self, stream: "Call", trailers: bytes) -> None: ...

    def is_clogged(self, call: "Call") -> bool:
        """Whether much that was sent waits for the client to read."""

    def await_drain(self, call: "Call") -> None:
        """Tell the call (on_drained) when it is not clogged any more."""

    def changed(self) -> None:
        """There is output."""


class Call(Stream):
    """One call: its owner answers whenever it likes."""

    __slots__ = (
        "_connection",
        "_has_ended",
        "_message",
        "has_answered",
        "metadata",
        "on_cancel",
        "on_drain",
        "on_half_close",
        "on_message",
        "request",
        "started_at_s",
    )

    def __init__(
        self,
        connection: Carrier,
        stream_id: int,
        send_window: int,
        request: Request,
        metadata: Headers | None = None,
        *,
        reader: MessageReader | None = None,
    ) -> None:
        """metadata: headers of this call alone, beside those of the request, which others may share.

        reader: of the call whose part this is, if it has no messages of its own.
        """
        if reader is None:
            reader = MessageReader(connection.limits.message_bytes_max, is_gzip=request.is_gzip)
        super().__init__(stream_id, send_window, reader)
        self.body_bytes_left = request.content_length
        self._connection = connection
        self._message: bytes | None = None
        """Unary: the message, until the request is complete."""
        self._has_ended = False
        """It has a status, which may not have left yet."""
        self.has_answered = False
        """Response headers were sent."""
        self.request = request
        self.metadata = metadata
        self.on_message: Callable[[bytes], None] | None = None
        """Streaming: gets each message."""
        self.on_half_close: Callable[[], None] | None = None
        """Streaming: the client will send no more."""
        self.on_cancel: Callable[[], None] | None = None
        """The client gave up, is gone, or was refused for what it sent. Answers are ignored from now on."""
        self.started_at_s = connection.received_at_s
        if request.method is not None:
            request.method.tally.started += 1
        self.on_drain: Callable[[], None] | None = None
        """Everything that was sent has left, or at least does not clog the call any more."""

    @property
    def headers(self) -> Headers:
        """All, but for the pseudo-headers."""
        headers = self.request.headers
        return headers if self.metadata is None else headers + self.metadata

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
        if size > connection.single_frame_max or size > self.send_window or self.has_answered:
            self.send(message)
            self.finish()
            return
        stream_id = self.stream_id.to_bytes(4, "big")
        if len(message) < _SHORT_BYTES:
            head, prefix = _SIZED[len(message)]
        else:
            head = size.to_bytes(3, "big") + b"\0\0"
            prefix = grpc.PREFIX.pack(0, size - 5)
        answer = b"".join(
            (
                _RESPONSE_HEAD,
                stream_id,
                _RESPONSE,
                head,
                stream_id,
                prefix,
                message,
                _TRAILERS_HEAD,
                stream_id,
                _TRAILERS_OK,
            )
        )
        connection.write_whole(self, answer, size)

    def reply_parts(self, parts: Sequence[bytes]) -> None:
        """The same for a message in parts, which are not put together if they are much."""
        size = sum(map(len, parts))
        if size <= JOINED_BYTES_MAX:
            self.reply(b"".join(parts))
        elif not self.is_over:
            self._send_data((grpc.PREFIX.pack(0, size), *parts), 1)
            self.finish()

    @property
    def common_name(self) -> str:
        """Whom the client's certificate names; "": there is none."""
        return self._connection.common_name

    @property
    def is_clogged(self) -> bool:
        """Whether the client reads too slowly: who can wait with sending more should (await_drain)."""
        return self._connection.is_clogged(self)

    def await_drain(self) -> None:
        """Have on_drain called when the call is not clogged any more."""
        self._connection.await_drain(self)

    def send(self, message: bytes) -> None:
        """One message of a streaming answer."""
        self.send_all((message,))

    def send_all(self, messages: Sequence[bytes]) -> None:
        """Several messages of a streaming answer, in few frames."""
        if self.is_over:
            return
        data = b"".join([grpc.frame_message(message) for message in messages])
        self._send_data((data,), len(messages))

    def _send_data(self, pieces: Sequence[bytes], messages_count: int) -> None:
        if self.request.method is not None:
            self.request.method.tally.sent += messages_count
        if not self.has_answered:
            self.has_answered = True
            self._connection.write(frame(HEADERS, END_HEADERS, self.stream_id, _RESPONSE))
        self._connection.send_data(self, pieces)
        self._connection.changed()

    def finish(self, status: int = grpc.OK, text: str = "") -> None:
        """End the call with a status; after messages, or alone."""
        block = grpc.status_block(status, text)
        self._end(block if self.has_answered else _RESPONSE + block, status)

    def refuse_http(self, http_status: int, status: int, text: str) -> None:
        """End a call that is not gRPC in a way that both a gRPC and a plain HTTP/2 client understand."""
        block = literal_indexed_name(8, str(http_status).encode()) + _CONTENT_TYPE
        self._end(block + grpc.status_block(status, text), status)

    def _end(self, block: bytes, status: int) -> None:
        if self.is_over:
            return
        connection = self._connection
        trailers = header_frames(self.stream_id, block, connection.peer_frame_max, end_stream=True)
        connection.end(self, trailers)
        connection.changed()
        self._count_end(status)

    def _count_end(self, status: int) -> None:
        self._has_ended = True
        method = self.request.method
        if method is not None:
            method.tally.end(status, self._connection.clock() - self.started_at_s)

    # What the engine calls

    def unfinished_bytes(self) -> int:
        return len(self.reader.held) + len(self._message or b"")

    def on_messages(self, messages: list[bytes], *, is_last: bool) -> None:
        if is_last and self.reader.held:
            self._refuse(grpc.INTERNAL, "grpc: the last message is not complete")
            return
        method = self.request.method
        if isinstance(method, UnaryMethod):
            self._on_unary(method, messages, is_last=is_last)
            return
        if method is not None:
            method.tally.received += len(messages)
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
        self._refuse(fault.status, fault.text)

    def _refuse(self, status: int, text: str) -> None:
        """What the client sends cannot be understood, and whoever may be at work for it is told."""
        on_cancel, self.on_cancel = self.on_cancel, None
        self.finish(status, text)
        if on_cancel is not None:
            on_cancel()

    def on_reset(self, code: int) -> None:
        if not self._has_ended:
            self._count_end(grpc.CANCELLED)
        self.is_local_closed = True
        on_cancel = self.on_cancel
        self.forget_callbacks()
        if on_cancel is not None:
            on_cancel()

    def forget_callbacks(self) -> None:
        """It is over: nobody is called back any more, nor held. (Who is called back holds the call, as a rule, and a circle would
        be left to the garbage collector.)
        """
        self.on_message = self.on_half_close = self.on_cancel = self.on_drain = None

    def on_drained(self) -> None:
        if self.on_drain is not None:
            self.on_drain()
