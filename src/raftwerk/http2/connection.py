"""The engine that both sides share: frames, settings, flow control, pings, the end.

A side adds what headers mean (_on_headers). Streams are in `streams` from their HEADERS until both halves are closed.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Generic, TypeVar

from raftwerk.http2 import frames
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.frames import frame
from raftwerk.http2.grpc import MessageFault, MessageReader
from raftwerk.http2.limits import Limits


class Stream(ABC):
    """One stream, one call. Subclasses get its messages."""

    __slots__ = (
        "is_local_closed",
        "is_remote_closed",
        "out_queue",
        "out_trailers",
        "queued_bytes",
        "reader",
        "received_bytes",
        "send_window",
        "stream_id",
    )

    def __init__(self, stream_id: int, send_window: int, reader: MessageReader) -> None:
        self.stream_id = stream_id
        self.send_window = send_window
        self.reader = reader
        self.received_bytes = 0
        """Since the last WINDOW_UPDATE of this stream."""
        self.is_remote_closed = False
        self.is_local_closed = False
        self.out_queue: deque[bytes] = deque()
        """Message bytes that wait for a window."""
        self.queued_bytes = 0
        self.out_trailers: bytes | None = None
        """Frames to be sent after them; they end the stream."""

    @abstractmethod
    def on_messages(self, messages: list[bytes], *, is_last: bool) -> None:
        """Messages arrived; is_last: the other side will send no more."""

    @abstractmethod
    def on_message_fault(self, fault: MessageFault) -> None:
        """A message could not be taken."""

    @abstractmethod
    def on_reset(self, code: int) -> None:
        """The other side ended the stream, or the connection is gone."""

    def on_drained(self) -> None:
        """Nothing waits for a window any more."""


S = TypeVar("S", bound=Stream)


class Connection(ABC, Generic[S]):
    """See the module's text. `receive` never raises for what the other side did: it sends GOAWAY and is_closed."""

    IS_CLIENT: ClassVar[bool]

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.streams: dict[int, S] = {}
        self.is_closed = False
        """Nothing more is sent or taken after the present output."""
        self.fault: ConnectionFault | None = None
        """Why, if the other side broke the protocol."""
        self.peer_goaway: tuple[int, int, bytes] | None = None
        """(last stream id, code, debug data) of the other side's GOAWAY."""
        self._input = b""
        self._out: list[bytes] = []
        self._send_window = frames.DEFAULT_WINDOW
        self._peer_stream_window = frames.DEFAULT_WINDOW
        self._peer_frame_max = frames.FRAME_SIZE_MIN
        self._peer_streams_max = 2**31
        self._received_bytes = 0
        self._blocked: dict[int, S] = {}
        """Streams that wait for a window, in order."""
        self._queued_bytes = 0
        self._headers: tuple[int, int, list[bytes], int] | None = None
        """(stream, flags, parts, size) of a block that CONTINUATIONs complete."""
        self._idle_frames = 0
        self._has_settings = False
        self._last_stream_id = 0
        """The highest that the other side opened."""
        settings = {
            frames.MAX_CONCURRENT_STREAMS: limits.streams_max,
            frames.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
            frames.MAX_FRAME_SIZE: limits.frame_bytes_max,
            frames.MAX_HEADER_LIST_SIZE: limits.header_list_bytes_max,
        }
        if self.IS_CLIENT:
            settings = {frames.ENABLE_PUSH: 0, **settings}
        self._out.append(frames.settings(settings))
        if limits.connection_window_bytes > frames.DEFAULT_WINDOW:
            extra = limits.connection_window_bytes - frames.DEFAULT_WINDOW
            self._out.append(frames.window_update(0, extra))

    # What the shell calls

    def receive(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self.is_closed:
            return
        try:
            self._receive(data)
        except ConnectionFault as fault:
            self._fail(fault)

    def take_output(self) -> bytes:
        """Everything to be written now."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def ping(self, payload: bytes = b"raftwerk") -> None:
        """Ask the other side whether it is there."""
        self._out.append(frame(frames.PING, 0, 0, payload))

    def goaway(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Announce the end: streams that are open go on."""
        self._out.append(frames.goaway(self._last_stream_id, code, text))

    def lost(self) -> None:
        """The socket is closed: every open stream learns it."""
        self.is_closed = True
        streams, self.streams = list(self.streams.values()), {}
        self._blocked.clear()
        for stream in streams:
            stream.on_reset(ErrorCode.CANCEL)

    # Receiving

    def _receive(self, data: bytes) -> None:
        buffer = self._input + data if self._input else data
        size = len(buffer)
        start = 0
        frame_max = self.limits.frame_bytes_max
        while size - start >= 9 and not self.is_closed:
            length = int.from_bytes(buffer[start : start + 3], "big")
            if length > frame_max:
                raise ConnectionFault(
                    ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes, {frame_max} are allowed"
                )
            stop = start + 9 + length
            if stop > size:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream_id = int.from_bytes(buffer[start + 5 : start + 9], "big") & 0x7FFFFFFF
            payload = buffer[start + 9 : stop]
            start = stop
            try:
                self._on_frame(kind, flags, stream_id, payload)
            except StreamFault as fault:
                self.reset(fault.stream_id, fault.code)
        self._input = buffer[start:]

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._headers is not None and (
            kind != frames.CONTINUATION or stream_id != self._headers[0]
        ):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        if not self._has_settings:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
        if kind == frames.DATA:
            self._on_data(flags, stream_id, payload)
        elif kind == frames.HEADERS:
            self._on_headers_frame(flags, stream_id, payload)
        elif kind == frames.CONTINUATION:
            self._on_continuation(flags, stream_id, payload)
        else:
            self._idle_frames += 1
            if self._idle_frames > self.limits.idle_frames_max:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames")
            self._on_control(kind, flags, stream_id, payload)

    def _on_control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream_id, payload)
        elif kind == frames.SETTINGS:
            self._on_settings(flags, stream_id, payload)
        elif kind == frames.PING:
            if stream_id or len(payload) != 8:
                _bad_control("PING", stream_id)
            if not flags & frames.ACK:
                self._out.append(frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.RST_STREAM:
            self._on_rst_stream(stream_id, payload)
        elif kind == frames.GOAWAY:
            if stream_id or len(payload) < 8:
                _bad_control("GOAWAY", stream_id)
            last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
            self.peer_goaway = (last, int.from_bytes(payload[4:8], "big"), payload[8:])
            self._on_goaway(last)
        elif kind == frames.PRIORITY:
            if not stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
            if len(payload) != 5:
                raise StreamFault(stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY")
        elif kind == frames.PUSH_PROMISE:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE")
        # Frames of unknown kinds are ignored (RFC 9113, section 4.1)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._received_bytes += size
        if self._received_bytes > self.limits.connection_window_bytes:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window exceeded")
        if self._received_bytes * 2 >= self.limits.connection_window_bytes:
            self._out.append(frames.window_update(0, self._received_bytes))
            self._received_bytes = 0
        if size:
            self._idle_frames = 0
        else:
            self._idle_frames += 1
        if flags & frames.PADDED:
            payload = _unpad(payload)
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_closed:
            self._check_known(stream_id)
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA on a closed stream")
        stream.received_bytes += size
        if stream.received_bytes > self.limits.stream_window_bytes:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "stream window exceeded")
        is_last = bool(flags & frames.END_STREAM)
        if is_last:
            stream.is_remote_closed = True
        elif stream.received_bytes * 2 >= self.limits.stream_window_bytes:
            self._out.append(frames.window_update(stream_id, stream.received_bytes))
            stream.received_bytes = 0
        try:
            messages = stream.reader.feed(payload)
        except MessageFault as fault:
            stream.on_message_fault(fault)
            return
        if messages or is_last:
            stream.on_messages(messages, is_last=is_last)
        self._forget_if_done(stream)

    def _check_known(self, stream_id: int) -> None:
        """A frame for a stream that is not open: late is a stream's fault at most, never opened the connection's."""
        if not stream_id or not self._was_opened(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} is idle")

    def _was_opened(self, stream_id: int) -> bool:
        return stream_id <= self._last_stream_id

    def _on_headers_frame(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        self._idle_frames = 0
        if flags & frames.PADDED:
            payload = _unpad(payload)
        if flags & frames.HAS_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS with priority")
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._on_headers(stream_id, payload, end_stream=bool(flags & frames.END_STREAM))
        else:
            self._headers = (stream_id, flags, [payload], len(payload))

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._headers is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        _, first_flags, parts, size = self._headers
        parts.append(payload)
        size += len(payload)
        if size > self.limits.header_block_bytes_max or len(parts) > 64:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block is too large")
        self._headers = (stream_id, first_flags, parts, size)
        if flags & frames.END_HEADERS:
            self._headers = None
            self._on_headers(
                stream_id, b"".join(parts), end_stream=bool(first_flags & frames.END_STREAM)
            )

    @abstractmethod
    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        """A whole header block."""

    def _on_goaway(self, last_stream_id: int) -> None:
        """The other side announced the end."""

    def _on_peer_reset(self) -> None:
        """The other side reset a stream that was open."""

    def _on_rst_stream(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM")
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            self._check_known(stream_id)
            return
        self._drop_queue(stream)
        self._on_peer_reset()
        stream.on_reset(int.from_bytes(payload, "big"))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS")
        if flags & frames.ACK:
            return
        for identifier, value in frames.parse_settings(payload):
            self._on_setting(identifier, value)
        self._out.append(frame(frames.SETTINGS, frames.ACK, 0, b""))
        self._send_blocked()

    def _on_setting(self, identifier: int, value: int) -> None:
        if identifier == frames.INITIAL_WINDOW_SIZE:
            if value > frames.WINDOW_MAX:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window")
            change = value - self._peer_stream_window
            self._peer_stream_window = value
            for stream in self.streams.values():
                stream.send_window += change  # may become negative (RFC 9113, section 6.9.2)
                if stream.send_window > frames.WINDOW_MAX:
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window")
        elif identifier == frames.MAX_FRAME_SIZE:
            if not frames.FRAME_SIZE_MIN <= value <= frames.FRAME_SIZE_MAX:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE")
            self._peer_frame_max = value
        elif identifier == frames.MAX_CONCURRENT_STREAMS:
            self._peer_streams_max = value
        elif identifier == frames.ENABLE_PUSH and value > (0 if self.IS_CLIENT else 1):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH")
        # HEADER_TABLE_SIZE: this side's encoder uses no table

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if not stream_id:
            self._send_window += increment
            if not increment or self._send_window > frames.WINDOW_MAX:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window")
        else:
            stream = self.streams.get(stream_id)
            if stream is None:
                self._check_known(stream_id)
                return
            stream.send_window += increment
            if not increment or stream.send_window > frames.WINDOW_MAX:
                raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "stream window")
        self._send_blocked()

    # Sending

    def reset(self, stream_id: int, code: ErrorCode) -> None:
        """End a stream from this side."""
        self._out.append(frames.rst_stream(stream_id, code))
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            self._drop_queue(stream)
            stream.on_reset(code)

    def send_data(self, stream: S, data: bytes) -> None:
        """Message bytes, as the windows allow; the rest waits."""
        stream.out_queue.append(data)
        stream.queued_bytes += len(data)
        self._queued_bytes += len(data)
        self._send_queued(stream)
        if self._queued_bytes > self.limits.buffered_bytes_max:
            self._fail(ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too much waits to be read"))

    def end(self, stream: S, trailers: bytes) -> None:
        """Send frames that end the stream, after everything that waits."""
        stream.out_trailers = trailers
        self._send_queued(stream)

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            if self._send_window <= 0:
                return
            self._send_queued(stream)
            if not stream.queued_bytes and not stream.is_local_closed:
                stream.on_drained()

    def _send_queued(self, stream: S) -> None:
        queue = stream.out_queue
        while queue:
            room = min(self._send_window, stream.send_window, self._peer_frame_max)
            if room <= 0:
                self._blocked[stream.stream_id] = stream
                return
            data = queue.popleft()
            if len(data) > room:
                queue.appendleft(data[room:])
                data = data[:room]
            self._send_window -= len(data)
            stream.send_window -= len(data)
            stream.queued_bytes -= len(data)
            self._queued_bytes -= len(data)
            self._idle_frames = 0
            self._out.append(frame(frames.DATA, 0, stream.stream_id, data))
        self._blocked.pop(stream.stream_id, None)
        if stream.out_trailers is not None:
            self._out.append(stream.out_trailers)
            stream.out_trailers = None
            stream.is_local_closed = True
            self._forget_if_done(stream)

    def _drop_queue(self, stream: S) -> None:
        self._queued_bytes -= stream.queued_bytes
        stream.queued_bytes = 0
        stream.out_queue.clear()
        stream.out_trailers = None
        stream.is_local_closed = True
        self._blocked.pop(stream.stream_id, None)

    def _forget_if_done(self, stream: S) -> None:
        if stream.is_local_closed and stream.is_remote_closed:
            self.streams.pop(stream.stream_id, None)

    def _fail(self, fault: ConnectionFault) -> None:
        self.fault = fault
        self._out.append(frames.goaway(self._last_stream_id, fault.code, fault.text))
        self.lost()


def _unpad(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
    return payload[1 : len(payload) - payload[0]]


def _bad_control(name: str, stream_id: int) -> None:
    code = ErrorCode.PROTOCOL_ERROR if stream_id else ErrorCode.FRAME_SIZE_ERROR
    raise ConnectionFault(code, name)
