"""Frames: how messages follow each other on a connection.

length   4 bytes, big-endian: of kind and payload together
crc32c   4 bytes, big-endian: of kind and payload together
kind     1 byte: what the payload is
payload  length - 1 bytes
"""

import struct
from typing import Final

import google_crc32c

from raftwerk.errors import PeerProtocolError

HEADER: Final = struct.Struct(">IIB")
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""An AppendEntries carries at most one oversized command; no command is near this."""

_crc32c: Final = google_crc32c.extend


def encode_frame(kind: int, payload: bytes) -> bytes:
    """One frame."""
    crc = _crc32c(google_crc32c.value(bytes((kind,))), payload)
    return HEADER.pack(len(payload) + 1, crc, kind) + payload


class FrameDecoder:
    """Cuts a byte stream into (kind, payload), however the bytes arrive."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether no part of a next frame has come."""
        return not self._buffer

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now. Raises PeerProtocolError for a bad length or checksum."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            length, crc, kind = HEADER.unpack_from(buffer, start)
            if not 1 <= length <= self._frame_bytes_max:
                raise PeerProtocolError(
                    f"a frame of {length} bytes was announced; 1 to {self._frame_bytes_max} are allowed. Is the other side "
                    "a raftwerk peer port?"
                )
            stop = start + HEADER.size - 1 + length
            if len(buffer) < stop:
                break
            payload = bytes(buffer[start + HEADER.size : stop])
            if _crc32c(google_crc32c.value(bytes((kind,))), payload) != crc:
                raise PeerProtocolError(
                    f"a frame of kind {kind} and {length} bytes has a wrong checksum"
                )
            frames.append((kind, payload))
            start = stop
        if start:
            del buffer[:start]
        return frames
