"""The client side: calls out, answers in.

connection = ClientConnection("127.0.0.1:2379", Limits())
connection.call("/etcdserverpb.KV/Put", request, on_done)     # unary
stream = connection.open("/etcdserverpb.Watch/Watch", ...)    # streaming: stream.send, stream.half_close
"""

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from raftwerk.http2 import frames, grpc
from raftwerk.http2.connection import Connection
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.frames import DATA, END_STREAM, frame, header_frames
from raftwerk.http2.grpc import MessageFault, MessageReader
from raftwerk.http2.headers import HeaderDecoder, Headers, literal, literal_indexed_name
from raftwerk.http2.limits import Limits
from raftwerk.http2.stream import Stream

# HTTP status of an answer that is none of gRPC's, and what it means to a caller ("HTTP to gRPC Status Code Mapping")
_STATUS_OF_HTTP: Final = {
    b"400": grpc.INTERNAL,
    b"401": grpc.UNAUTHENTICATED,
    b"403": grpc.PERMISSION_DENIED,
    b"404": grpc.UNIMPLEMENTED,
    b"429": grpc.UNAVAILABLE,
    b"502": grpc.UNAVAILABLE,
    b"503": grpc.UNAVAILABLE,
    b"504": grpc.UNAVAILABLE,
}
NOT_LOOKED_AT: Final = "the server has turned the call away without a look at it"
"""For want of room, or because it goes away: the call has not happened (RFC 9113, section 8.7)."""


class Answer(NamedTuple):
    """How a call ended. message: of a unary call with status 0."""

    status: int
    text: str
    message: bytes = b""
    was_asked: bool = True
    """False: the end of the request of a unary call never left, so that nothing was done, whoever says what."""


Done = Callable[[Answer], None]


class ClientCall(Stream):
    """One call from this side."""

    __slots__ = ("_connection", "_has_headers", "_message", "has_left", "on_done", "on_message")

    def __init__(
        self,
        connection: "ClientConnection",
        stream_id: int,
        send_window: int,
        on_done: Done,
        on_message: Callable[[bytes], None] | None,
    ) -> None:
        super().__init__(stream_id, send_window, MessageReader(connection.limits.message_bytes_max))
        self._connection = connection
        self._has_headers = False
        self._message: bytes | None = None
        """The answer to a unary call."""
        self.has_left = on_message is not None
        """The whole request is, or was, in the output: no part of it waits for a window. (If it sends a stream: always.)"""
        self.on_done: Done | None = on_done
        self.on_message = on_message

    def send(self, message: bytes) -> None:
        """One more message of a streaming call."""
        if not self.is_local_closed:
            self._connection.send_data(self, (grpc.frame_message(message),))

    def half_close(self) -> None:
        """No more messages from this side."""
        if not self.is_local_closed:
            self._connection.end(self, frame(DATA, END_STREAM, self.stream_id, b""))

    def pause(self) -> None:
        """Let messages wait at the server, as soon as the window that it has is used up."""
        self.is_paused = True

    def resume(self) -> None:
        """After a pause: let them come."""
        self.is_paused = False
        if not self.is_remote_closed:
            self._connection.ask_on(self)

    def cancel(self) -> None:
        """Give up: no callback comes any more."""
        self.on_done = self.on_message = None
        if self.stream_id in self._connection.streams:
            self._connection.reset(self.stream_id, ErrorCode.CANCEL)

    def on_messages(self, messages: list[bytes], *, is_last: bool) -> None:
        for message in messages:
            if self.on_message is not None:
                self.on_message(message)
            elif self._message is None:
                self._message = message
            elif self.on_done is not None:
                self._give_up(grpc.INTERNAL, "the server answered a unary call with two messages")
                return
        if is_last:
            self._give_up(grpc.INTERNAL, "the answer ended without a status")

    def unfinished_bytes(self) -> int:
        return len(self.reader.held) + len(self._message or b"")

    def on_message_fault(self, fault: MessageFault) -> None:
        # UNIMPLEMENTED is a server's word: that it has done nothing
        is_ours = fault.status == grpc.UNIMPLEMENTED
        self._give_up(grpc.INTERNAL if is_ours else fault.status, fault.text)

    def _give_up(self, status: int, text: str) -> None:
        """End the call from here, with a status of our own."""
        on_done = self.on_done
        self.cancel()
        if on_done is not None:
            on_done(Answer(status, text, was_asked=self.has_left))

    def on_reset(self, code: int) -> None:
        if code == ErrorCode.REFUSED_STREAM and not self._has_headers:
            self._end(Answer(grpc.UNAVAILABLE, NOT_LOOKED_AT))
            return
        connection = self._connection
        is_alone = not connection.is_closed
        text = f"the server ended the call (code {code})" if is_alone else connection.end_text
        self._end(Answer(grpc.UNAVAILABLE, text))

    def on_headers(self, headers: Headers, *, end_stream: bool) -> None:
        """Response headers, or trailers."""
        fields = dict(headers)
        http_status = fields.get(b":status")
        if (http_status is None) != self._has_headers or (self._has_headers and not end_stream):
            raise StreamFault(self.stream_id, ErrorCode.PROTOCOL_ERROR, "headers out of place")
        self._has_headers = True
        if http_status not in (b"200", None) and b"grpc-status" not in fields:
            status = _STATUS_OF_HTTP.get(http_status, grpc.UNKNOWN)
            text = (
                f"HTTP status {http_status.decode('latin-1')}: what answers there is no gRPC server"
            )
            self._give_up(status, text)
        elif end_stream:
            self._end(self._answer(fields))

    def _answer(self, trailers: dict[bytes, bytes]) -> Answer:
        try:
            status = int(trailers.get(b"grpc-status", b"2"))
        except ValueError:
            status = grpc.UNKNOWN
        if status != grpc.OK:
            return Answer(status, grpc.decode_text(trailers.get(b"grpc-message", b"")))
        if self.reader.held:
            return Answer(grpc.INTERNAL, "the last message is not complete")
        if self._message is None and self.on_message is None:
            return Answer(grpc.INTERNAL, "the server answered a unary call without a message")
        return Answer(grpc.OK, "", self._message or b"")

    def _end(self, answer: Answer) -> None:
        on_done, self.on_done = self.on_done, None
        self.on_message = None
        if on_done is not None:
            on_done(answer if self.has_left else answer._replace(was_asked=False))


def request_block(path: str, authority: str, *, is_tls: bool = False) -> bytes:
    """The header block of a call, as literals: the same bytes for each call."""
    return (
        (b"\x83\x87" if is_tls else b"\x83\x86")  # :method POST, :scheme https or http
        + literal_indexed_name(4, path.encode())
        + literal_indexed_name(1, authority.encode())
        + literal(b"te", b"trailers")
        + literal_indexed_name(31, b"application/grpc")
        + literal_indexed_name(58, b"raftwerk")  # user-agent
    )


class ClientConnection(Connection[ClientCall]):
    """One connection to a server. May be written at once: nothing waits for the server's settings."""

    IS_CLIENT: ClassVar[bool] = True

    def __init__(self, authority: str, limits: Limits, *, is_tls: bool = False) -> None:
        """authority: host:port, as the server is addressed."""
        super().__init__(limits)
        self.is_tls = is_tls
        self._decoder: HeaderDecoder[Headers] = HeaderDecoder(limits.header_list_bytes_max)
        self._authority = authority
        self._heads: dict[str, bytes] = {}
        """Of header blocks, by path: there are as many as methods."""
        self._next_stream_id = 1

    @property
    def is_ending(self) -> bool:
        """Closed, or told to go away."""
        return self.is_closed or self.peer_goaway is not None

    @property
    def takes_calls(self) -> bool:
        """Whether there is room for calls, now or when others have ended: it is not ending, and there are numbers for streams."""
        return not self.is_ending and self._next_stream_id <= frames.STREAM_ID_MAX

    @property
    def room(self) -> int:
        """So many new calls may be made."""
        return max(0, self._peer_streams_max - len(self.streams)) if self.takes_calls else 0

    @property
    def can_call(self) -> bool:
        """Whether a new call may be made."""
        return self.takes_calls and len(self.streams) < self._peer_streams_max

    @property
    def end_text(self) -> str:
        """Why the connection is closed, as far as it is known."""
        if self.fault is not None:
            return f"{self._authority} breaks the protocol: {self.fault}"
        _, code, reason = self.peer_goaway or (0, ErrorCode.NO_ERROR, b"")
        if code == ErrorCode.NO_ERROR:
            return f"{self._authority} is gone: connection lost"
        said = reason.decode(errors="replace") or "no reason"
        return f"{self._authority} ended the connection (code {code}): {said}"

    def call(
        self,
        path: str,
        message: bytes,
        on_done: Done,
        on_message: Callable[[bytes], None] | None = None,
        *,
        metadata: bytes = b"",
    ) -> ClientCall:
        """A call with one request message. metadata: further headers, encoded with headers.literal."""
        call = self._open(path, on_done, on_message, metadata)
        call.has_left = False
        size = len(message) + 5
        sender = self._sender
        if size <= min(sender.window, call.send_window, sender.frame_max):
            sender.window -= size
            sender.sent_bytes += size
            payload = grpc.frame_message(message)
            self._out.append(frame(DATA, END_STREAM, call.stream_id, payload))
            call.is_local_closed = call.has_left = True
        else:
            call.send(message)
            call.half_close()
        return call

    def open(
        self,
        path: str,
        on_done: Done,
        on_message: Callable[[bytes], None],
        *,
        metadata: bytes = b"",
    ) -> ClientCall:
        """A streaming call: messages go out with send, come in with on_message."""
        return self._open(path, on_done, on_message, metadata)

    def _open(
        self,
        path: str,
        on_done: Done,
        on_message: Callable[[bytes], None] | None,
        metadata: bytes,
    ) -> ClientCall:
        assert self.can_call, "look at can_call first"
        stream_id = self._next_stream_id
        self._next_stream_id += 2
        call = ClientCall(self, stream_id, self._sender.stream_window, on_done, on_message)
        self.streams[stream_id] = call
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = request_block(path, self._authority, is_tls=self.is_tls)
        block = head + metadata
        self._out.append(header_frames(stream_id, block, self._sender.frame_max, end_stream=False))
        return call

    def _on_local_end(self, stream: ClientCall) -> None:
        stream.has_left = True
        super()._on_local_end(stream)

    def _was_opened(self, stream_id: int) -> bool:
        return bool(stream_id % 2) and stream_id < self._next_stream_id

    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        headers = self._decoder.cached(block)
        if headers is None:
            headers = self._decoder.decode(block)
            self._decoder.keep(block, headers)
        call = self.streams.get(stream_id)
        if call is None:
            if not self._was_opened(stream_id):
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} is idle")
            return
        call.on_headers(headers, end_stream=end_stream)
        if end_stream:
            call.is_remote_closed = True
            if not call.is_local_closed:  # the server has all that it wants
                self._out.append(frames.rst_stream(stream_id, ErrorCode.NO_ERROR))
                self._sender.drop(call)
            self._forget_if_done(call)

    def _on_goaway(self, last_stream_id: int) -> None:
        """Calls that the server will not look at can be made again elsewhere: they end as UNAVAILABLE."""
        for stream_id in [number for number in self.streams if number > last_stream_id]:
            call = self.streams[stream_id]
            self._drop(call)
            call.on_reset(ErrorCode.REFUSED_STREAM)
