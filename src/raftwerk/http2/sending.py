"""Sending within the peer's flow-control windows (RFC 9113, section 5.2): what leaves now, what waits, and for what.

A stream with bytes that wait stands in line if only the connection's window is missing, so that each WINDOW_UPDATE costs
as much as it lets go, however many streams wait. A stream that misses its own window is outside of the line: its own
WINDOW_UPDATE, or a new initial window, sends it on. Those in line take turns, a frame each.

Invariant: as long as anybody stands in line, the connection's window is used up.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from raftwerk.http2 import frames
from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault
from raftwerk.http2.frames import frame
from raftwerk.http2.stream import NO_QUEUE, Stream

S = TypeVar("S", bound=Stream)


def _tell_nobody(_: Stream) -> None:
    pass


class Sender(Generic[S]):
    """The sending half of a connection."""

    __slots__ = (
        "_ended",
        "_line",
        "_output",
        "frame_max",
        "queued_bytes",
        "sent_bytes",
        "stream_window",
        "window",
    )

    def __init__(self, output: list[bytes], ended: Callable[[S], None]) -> None:
        """output: gets the frames. ended: called when a stream's last frame is among them."""
        self._output = output
        self._ended = ended
        self._line: OrderedDict[int, S] = OrderedDict()
        self.window = frames.DEFAULT_WINDOW
        """What the connection may send."""
        self.stream_window = frames.DEFAULT_WINDOW
        """What a new stream may send."""
        self.frame_max = frames.FRAME_SIZE_MIN
        self.queued_bytes = 0
        """Waiting, of all streams."""
        self.sent_bytes = 0
        """Message bytes that have left."""

    def send(self, stream: S, data: bytes) -> None:
        """As much as the windows allow; the rest waits."""
        if stream.out_queue is NO_QUEUE:
            stream.out_queue = deque()
        stream.out_queue.append(data)
        stream.queued_bytes += len(data)
        self.queued_bytes += len(data)
        self._send_on(stream)

    def end(self, stream: S, trailers: bytes) -> None:
        """Send frames that end the stream, after everything that waits."""
        stream.out_trailers = trailers
        self._send_on(stream)

    def drop(self, stream: S) -> None:
        """Nothing more is sent on this stream."""
        self.queued_bytes -= stream.queued_bytes
        stream.queued_bytes = stream.out_offset = 0
        stream.out_queue.clear()
        stream.out_trailers = None
        stream.is_local_closed = True
        self._line.pop(stream.stream_id, None)

    def close(self) -> None:
        """The connection is lost: its owner, who holds this, is told nothing more, and not held."""
        self._ended = _tell_nobody

    # The windows

    def widen(self, increment: int) -> None:
        """A WINDOW_UPDATE of the connection."""
        self.window += increment
        if self.window > frames.WINDOW_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window")
        line = self._line
        while line and self.window > 0:
            _, stream = line.popitem(last=False)
            if stream.send_window > 0:
                self._send_frame(stream)
                self._settle(stream)
                self._tell_if_drained(stream)

    def widen_stream(self, stream: S, increment: int) -> None:
        """A WINDOW_UPDATE of a stream."""
        stream.send_window += increment
        if stream.send_window > frames.WINDOW_MAX:
            raise StreamFault(stream.stream_id, ErrorCode.FLOW_CONTROL_ERROR, "stream window")
        self._resume(stream)

    def set_stream_window(self, value: int, streams: Iterable[S]) -> None:
        """A new initial window counts for open streams too, which may make theirs negative (section 6.9.2)."""
        change = value - self.stream_window
        if not change:
            return
        self.stream_window = value
        for stream in streams:
            stream.send_window += change
            if stream.send_window > frames.WINDOW_MAX:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window")

    def resume(self, streams: Iterable[S]) -> None:
        """After settings: send on what may now."""
        for stream in streams:
            self._resume(stream)

    def _resume(self, stream: S) -> None:
        if stream.out_queue:
            self._send_on(stream)
            self._tell_if_drained(stream)

    # Frames

    def _send_on(self, stream: S) -> None:
        while stream.out_queue and self.window > 0 and stream.send_window > 0:
            self._send_frame(stream)
        self._settle(stream)

    def _send_frame(self, stream: S) -> None:
        data, offset = stream.out_queue[0], stream.out_offset
        size = len(data) - offset
        room = min(self.window, stream.send_window, self.frame_max)
        if size <= room:
            stream.out_queue.popleft()
            stream.out_offset = 0
            part = data[offset:] if offset else data
        else:
            size = room
            stream.out_offset = offset + size
            part = data[offset : offset + size]
        self.window -= size
        self.sent_bytes += size
        self.queued_bytes -= size
        stream.send_window -= size
        stream.queued_bytes -= size
        self._output.append(frame(frames.DATA, 0, stream.stream_id, part))

    def _settle(self, stream: S) -> None:
        """After a turn: wait in line, wait for the stream's own window, or end."""
        if stream.out_queue:
            if stream.send_window > 0:
                self._line[stream.stream_id] = stream
        elif stream.out_trailers is not None:
            self._output.append(stream.out_trailers)
            stream.out_trailers = None
            stream.is_local_closed = True
            self._ended(stream)

    def _tell_if_drained(self, stream: S) -> None:
        if not stream.out_queue and not stream.is_local_closed:
            stream.on_drained()
