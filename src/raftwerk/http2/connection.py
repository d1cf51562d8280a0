"""The engine that both sides share: frames in, settings, flow control, pings, the end.

A side adds what headers mean (_on_headers). sending.py has what leaves, blocks.py how header blocks are put together.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic

from raftwerk.http2 import frames, settings
from raftwerk.http2.blocks import PendingBlock, fragment, unpad
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault, bare
from raftwerk.http2.frames import frame
from raftwerk.http2.limits import Limits
from raftwerk.http2.sending import S, Sender


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
        self._sender: Sender[S] = Sender(self._out, self._on_local_end)
        self._peer_streams_max = 2**31
        self._received_bytes = 0
        self._held_bytes = 0
        self._block: PendingBlock | None = None
        self._idle_frames = 0
        self._settings_frames = 0
        self._sent_bytes_seen = 0
        self._taken_bytes = 0
        """Of what the sender has sent, by the shell."""
        self.has_settings = False
        """Whether the other side has said a word of the protocol."""
        self._last_stream_id = 0
        """The highest that the other side opened."""
        self._out.append(settings.greeting(limits, is_client=self.IS_CLIENT))

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
        data = b"".join(self._out)
        self._out.clear()
        self._taken_bytes = self._sender.sent_bytes
        return data

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def ping(self, payload: bytes = b"raftwerk") -> None:
        """Ask the other side whether it is there."""
        self._out.append(frame(frames.PING, 0, 0, payload))

    def goaway(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Announce the end: streams that are open go on."""
        self._out.append(frames.goaway(self._last_stream_id, code, text))

    def new_period(self) -> None:
        """Some time has passed (the shell says how much): what limits count per period is counted anew."""
        self._idle_frames = 0
        self._settings_frames = 0

    def lost(self) -> None:
        """The socket is closed: every open stream learns it. Nothing is left in a circle, for the garbage collector."""
        self._end_streams()
        self._sender.close()

    def _end_streams(self) -> None:
        self.is_closed = True
        streams, self.streams = list(self.streams.values()), {}
        for stream in streams:
            self._sender.drop(stream)
            stream.on_reset(ErrorCode.CANCEL)

    # Receiving

    def _receive(self, data: bytes) -> None:
        buffer = self._input + data if self._input else data
        size = len(buffer)
        start = 0
        frame_max = self.limits.frame_bytes_max
        while size - start >= 9 and not self.is_closed:
            length = buffer[start] << 16 | buffer[start + 1] << 8 | buffer[start + 2]
            if length > frame_max:
                raise ConnectionFault(
                    ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes, {frame_max} are allowed"
                )
            payload_from = start + 9
            stop = payload_from + length
            if stop > size:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream_id = (buffer[start + 5] & 0x7F) << 24 | buffer[start + 6] << 16
            stream_id |= buffer[start + 7] << 8 | buffer[start + 8]
            start = stop
            try:
                self._on_frame(kind, flags, stream_id, buffer[payload_from:stop])
            except StreamFault as fault:
                self._on_stream_fault(fault)
        self._input = buffer[start:]

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (
            kind != frames.CONTINUATION or stream_id != self._block.stream_id
        ):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        if not self.has_settings:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.has_settings = True
        if kind == frames.DATA:
            self._on_data(flags, stream_id, payload)
        elif kind == frames.HEADERS:
            self._on_headers_frame(flags, stream_id, payload)
        elif kind == frames.CONTINUATION:
            self._on_continuation(flags, payload)
        else:
            self._count_idle_frame()
            self._on_control(kind, flags, stream_id, payload)

    def _count_idle_frame(self) -> None:
        sent_bytes = self._sender.sent_bytes
        if sent_bytes != self._sent_bytes_seen:
            self._sent_bytes_seen = sent_bytes
            self._idle_frames = 0
        self._idle_frames += 1
        if self._idle_frames > self.limits.idle_frames_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without a use")

    def _on_control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream_id, payload)
        elif kind == frames.SETTINGS:
            self._on_settings(flags, stream_id, payload)
        elif kind == frames.PING:
            if stream_id or len(payload) != 8:
                _bad_control("PING", stream_id)
            if not flags & frames.ACK:
                self._on_ping(payload)
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

    def _on_ping(self, payload: bytes) -> None:
        self._out.append(frame(frames.PING, frames.ACK, 0, payload))

    # Messages

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        is_last = bool(flags & frames.END_STREAM)
        if size:
            self._idle_frames = 0
        elif not is_last:
            self._count_idle_frame()
        limits = self.limits
        self._received_bytes += size
        if self._received_bytes > limits.connection_window_bytes:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window exceeded")
        if self._received_bytes * 2 >= limits.connection_window_bytes:
            self._out.append(frames.window_update(0, self._received_bytes))
            self._received_bytes = 0
        if flags & frames.PADDED:
            payload = unpad(payload)
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_closed:
            self._check_opened(stream_id)
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA on a closed stream")
        stream.received_bytes += size
        if stream.received_bytes > limits.stream_window_bytes:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "stream window exceeded")
        if stream.body_bytes_left is not None:
            stream.take_body(len(payload), is_last=is_last)
        if is_last:
            stream.is_remote_closed = True
        elif not stream.is_paused:
            self.ask_on(stream)
        self._feed(stream, payload, is_last=is_last)

    def ask_on(self, stream: S) -> None:
        """Let the other side send on, if it has used up half of the stream's window."""
        if stream.received_bytes * 2 >= self.limits.stream_window_bytes:
            self._out.append(frames.window_update(stream.stream_id, stream.received_bytes))
            stream.received_bytes = 0

    def _feed(self, stream: S, payload: bytes, *, is_last: bool) -> None:
        messages = stream.reader.feed(payload)
        fault = stream.reader.fault
        if messages or (is_last and fault is None):
            stream.on_messages(messages, is_last=is_last)
        if fault is not None:
            stream.on_message_fault(fault)
        if is_last:
            self._forget_if_done(stream)
        elif stream.stream_id in self.streams:
            self._hold(stream, stream.unfinished_bytes())

    def _hold(self, stream: S, size: int) -> None:
        self._held_bytes += size - stream.held_bytes
        stream.held_bytes = size
        if self._held_bytes > self.limits.unfinished_bytes_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many unfinished messages")

    # Headers

    def _on_headers_frame(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        self._idle_frames = 0
        block = fragment(flags, payload)
        if flags & frames.END_HEADERS:
            self._on_headers(stream_id, block, end_stream=bool(flags & frames.END_STREAM))
        else:
            block_max = self.limits.header_block_bytes_max
            self._block = PendingBlock(stream_id, flags, block, block_max)

    def _on_continuation(self, flags: int, payload: bytes) -> None:
        pending = self._block
        if pending is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        block = pending.add(flags, payload)
        if block is not None:
            self._block = None
            end_stream = bool(pending.flags & frames.END_STREAM)
            self._on_headers(pending.stream_id, block, end_stream=end_stream)

    @abstractmethod
    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        """A whole header block."""

    # The end of streams

    def _check_opened(self, stream_id: int) -> None:
        """A frame for a stream that is not open: late is a stream's fault at most, never opened the connection's."""
        if not stream_id or not self._was_opened(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} is idle")

    def _was_opened(self, stream_id: int) -> bool:
        return bool(stream_id % 2) and stream_id <= self._last_stream_id

    def _on_stream_fault(self, fault: StreamFault) -> None:
        self.reset(fault.stream_id, fault.code)

    def _on_rst_stream(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM")
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_opened(stream_id)
            return
        self._drop(stream)
        stream.on_reset(int.from_bytes(payload, "big"))
        self._on_peer_reset(stream)

    def _on_peer_reset(self, stream: S) -> None:
        """The other side has reset a stream that was open."""

    def _on_goaway(self, last_stream_id: int) -> None:
        """The other side announced the end."""

    def reset(self, stream_id: int, code: ErrorCode) -> None:
        """End a stream from this side."""
        self._out.append(frames.rst_stream(stream_id, code))
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._drop(stream)
            stream.on_reset(code)

    def _drop(self, stream: S) -> None:
        """Both halves are over, whatever waits."""
        self._sender.drop(stream)
        stream.is_remote_closed = True
        self._forget_if_done(stream)

    def _on_local_end(self, stream: S) -> None:
        """The last frame from this side is in the output."""
        self._forget_if_done(stream)

    def _forget_if_done(self, stream: S) -> None:
        if stream.is_remote_closed:
            if stream.held_bytes:
                self._hold(stream, 0)
            if stream.is_local_closed:
                self.streams.pop(stream.stream_id, None)

    def _fail(self, fault: ConnectionFault) -> None:
        bare(fault)
        self.fault = fault
        self._out.append(frames.goaway(self._last_stream_id, fault.code, fault.text))
        self._end_streams()

    # Settings and windows

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS")
            return
        self._settings_frames += 1
        if self._settings_frames > self.limits.settings_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many SETTINGS")
        self._apply_settings(settings.parse(payload, is_client=self.IS_CLIENT))
        self._out.append(frame(frames.SETTINGS, frames.ACK, 0, b""))
        if self._sender.queued_bytes:
            self._sender.resume(list(self.streams.values()))

    def _apply_settings(self, values: dict[int, int]) -> None:
        """HEADER_TABLE_SIZE asks for nothing: this side's encoder uses no table."""
        sender = self._sender
        sender.frame_max = values.get(frames.MAX_FRAME_SIZE, sender.frame_max)
        window = values.get(frames.INITIAL_WINDOW_SIZE)
        if window is not None:
            sender.set_stream_window(window, self.streams.values())
        streams_max = self._peer_streams_max
        self._peer_streams_max = values.get(frames.MAX_CONCURRENT_STREAMS, streams_max)

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if not stream_id:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._sender.widen(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_opened(stream_id)
        elif not increment:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        else:
            self._sender.widen_stream(stream, increment)

    # Sending

    @property
    def queued_bytes(self) -> int:
        """Of messages that the peer's windows do not let out yet."""
        return self._sender.queued_bytes

    def send_data(self, stream: S, pieces: Sequence[bytes]) -> None:
        """Message bytes, as the windows allow; the rest waits. Too much that waits already is the end."""
        sender = self._sender
        waiting_bytes = sender.queued_bytes + sender.sent_bytes - self._taken_bytes
        if waiting_bytes > self.limits.buffered_bytes_max:
            self._fail(ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too much waits to be read"))
        else:
            for piece in pieces:
                sender.send(stream, piece)

    def end(self, stream: S, trailers: bytes) -> None:
        """Send frames that end the stream, after everything that waits."""
        self._sender.end(stream, trailers)


def _bad_control(name: str, stream_id: int) -> None:
    code = ErrorCode.PROTOCOL_ERROR if stream_id else ErrorCode.FRAME_SIZE_ERROR
    raise ConnectionFault(code, name)
