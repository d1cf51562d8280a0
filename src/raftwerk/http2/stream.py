"""One stream, one call: what both sides keep of it. Its subclasses get its messages."""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from raftwerk.http2.errors import ErrorCode, StreamFault
from raftwerk.http2.grpc import MessageFault, MessageReader

NO_QUEUE: Final[deque[bytes]] = deque()
"""Of every stream of which nothing has waited yet, most often until its end: a deque is half a kilobyte. Stays empty."""


class Stream(ABC):
    """Lives in the connection's `streams` from its HEADERS until both halves are closed."""

    __slots__ = (
        "body_bytes_left",
        "held_bytes",
        "is_local_closed",
        "is_paused",
        "is_remote_closed",
        "out_offset",
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
        self.reader = reader
        self.received_bytes = 0
        """Since the last WINDOW_UPDATE of this stream."""
        self.body_bytes_left: int | None = None
        """To come, if the headers told a content-length."""
        self.held_bytes = 0
        """Of what has come and cannot be worked on yet. The connection keeps the sum."""
        self.is_paused = False
        """The other side is not asked for more than the window that it has."""
        self.is_remote_closed = False
        self.is_local_closed = False
        self.send_window = send_window
        self.out_queue = NO_QUEUE
        """Message bytes that wait for a window; the first out_offset bytes of them have left."""
        self.out_offset = 0
        self.queued_bytes = 0
        self.out_trailers: bytes | None = None
        """Frames to be sent after the messages; they end the stream."""

    def unfinished_bytes(self) -> int:
        """What held_bytes has to be now."""
        return len(self.reader.held)

    def take_body(self, size: int, *, is_last: bool) -> None:
        """Compare with the content-length (RFC 9113, section 8.1.1). Raises StreamFault."""
        if self.body_bytes_left is not None:
            self.body_bytes_left -= size
            if self.body_bytes_left < 0 or (is_last and self.body_bytes_left):
                raise StreamFault(self.stream_id, ErrorCode.PROTOCOL_ERROR, "content-length")

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
