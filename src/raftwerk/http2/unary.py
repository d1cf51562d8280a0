"""Unary calls by the hundred thousand: a client side for loads, where of an answer only its status counts.

connection = UnaryConnection("127.0.0.1:2379", Limits())
connection.call(connection.block("/etcdserverpb.KV/Put"), frame_message(request))   # the number of its stream
connection.receive(data)
connection.answers                                                                  # [(stream id, status), ...]

There is no object for a call. The frames that every answer is made of take a short way; all others take the engine's.
"""

import struct
from collections import deque
from typing import ClassVar, Final

from raftwerk.http2 import frames, grpc
from raftwerk.http2.client import request_block
from raftwerk.http2.connection import Connection
from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.headers import HeaderDecoder
from raftwerk.http2.limits import Limits
from raftwerk.http2.stream import Stream

MESSAGE_BYTES_MAX: Final = frames.FRAME_SIZE_MIN
"""Of a request with its prefix: it travels in one frame, which every peer takes."""
_FRAME: Final = struct.Struct(">IBI")
_LAST: Final = frames.END_HEADERS | frames.END_STREAM


class UnaryConnection(Connection[Stream]):
    """One connection to a server. `answers`: its owner takes them out; each call has one, but none after `lost`."""

    IS_CLIENT: ClassVar[bool] = True

    def __init__(self, authority: str, limits: Limits, *, is_tls: bool = False) -> None:
        """authority: host:port, as the server is addressed."""
        super().__init__(limits)
        self._is_tls = is_tls
        self.answers: list[tuple[int, int]] = []
        self.texts: dict[int, str] = {}
        """What the server said last with a status, if it said something."""
        self._authority = authority
        self._decoder: HeaderDecoder[int] = HeaderDecoder(limits.header_list_bytes_max)
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        """Frames that wait for the connection's window, in the order of their streams."""
        self._next_stream_id = 1

    @property
    def calls_max(self) -> int:
        """How many may be under way at once."""
        return self._peer_streams_max

    def block(self, path: str, metadata: bytes = b"") -> bytes:
        """The headers of a call. metadata: further ones, encoded with headers.literal."""
        return request_block(path, self._authority, is_tls=self._is_tls) + metadata

    def call(self, block: bytes, message: bytes) -> int:
        """Make a call; returns its stream id. message: with its prefix, at most MESSAGE_BYTES_MAX."""
        stream_id = self._next_stream_id
        self._next_stream_id = stream_id + 2
        size = len(message)
        head = (
            _FRAME.pack(len(block) << 8 | frames.HEADERS, frames.END_HEADERS, stream_id)
            + block
            + _FRAME.pack(size << 8, frames.END_STREAM, stream_id)
        )
        sender = self._sender
        if self._waiting or size > sender.window:
            self._waiting.append((head, message))
        else:
            sender.window -= size
            sender.sent_bytes += size
            self._out += (head, message)
        return stream_id

    def _receive(self, data: bytes) -> None:
        buffer = self._input + data if self._input else data
        size = len(buffer)
        start = message_bytes = 0
        frame_max = self.limits.frame_bytes_max
        cached = self._decoder.cached
        while size - start >= frames.HEADER_BYTES:
            word, flags, stream_id = _FRAME.unpack_from(buffer, start)
            length, kind = word >> 8, word & 0xFF
            if length > frame_max:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes")
            stop = start + frames.HEADER_BYTES + length
            if stop > size:
                break
            if kind == frames.DATA and not flags:
                message_bytes += length
            elif kind == frames.HEADERS and flags | frames.END_STREAM == _LAST:
                block = buffer[start + frames.HEADER_BYTES : stop]
                status = cached(block)
                if status is None:
                    status = self._decode(block)
                if flags == _LAST:
                    self.answers.append((stream_id, status))
            else:
                payload = buffer[start + frames.HEADER_BYTES : stop]
                self._on_frame(kind, flags, stream_id & 0x7FFFFFFF, payload)
            start = stop
        self._input = buffer[start:]
        self._count_data(message_bytes)

    def _count_data(self, size: int) -> None:
        self._idle_frames = 0 if size else self._idle_frames
        self._received_bytes += size
        if self._received_bytes * 2 >= self.limits.connection_window_bytes:
            self._out.append(frames.window_update(0, self._received_bytes))
            self._received_bytes = 0

    def _decode(self, block: bytes) -> int:
        headers = dict(self._decoder.decode(block))
        status = _status(headers)
        self._decoder.keep(block, status)
        text = headers.get(b"grpc-message")
        if text:
            self.texts[status] = grpc.decode_text(text)
        return status

    # What is rare

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._count_data(len(payload))
        if flags & frames.END_STREAM:  # no trailers, no status
            self.answers.append((stream_id, grpc.INTERNAL))

    def _on_headers(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        status = self._decode(block)
        if end_stream:
            self.answers.append((stream_id, status))

    def _on_rst_stream(self, stream_id: int, payload: bytes) -> None:
        self.answers.append((stream_id, grpc.UNAVAILABLE))

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        super()._on_window_update(stream_id, payload)
        sender = self._sender
        while self._waiting and len(self._waiting[0][1]) <= sender.window:
            head, message = self._waiting.popleft()
            sender.window -= len(message)
            sender.sent_bytes += len(message)
            self._out += (head, message)

    def _was_opened(self, stream_id: int) -> bool:
        return bool(stream_id % 2) and stream_id < self._next_stream_id


def _status(headers: dict[bytes, bytes]) -> int:
    """UNKNOWN without a number, and for an answer that is none of gRPC's."""
    value = headers.get(b"grpc-status", b"")
    return int(value) if value.isdigit() else grpc.UNKNOWN
