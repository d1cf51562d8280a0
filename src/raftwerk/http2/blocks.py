"""Header blocks as they travel: HEADERS with padding and priority, and the CONTINUATIONs (RFC 9113, sections 6.2, 6.10)."""

from typing import Final

from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.frames import END_HEADERS, HAS_PRIORITY, PADDED

PARTS_MAX: Final = 64
"""Frames of one block: CONTINUATION floods with little in them (CVE-2024-27316)."""


def unpad(payload: bytes) -> bytes:
    """What is left without the padding."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
    return payload[1 : len(payload) - payload[0]]


def fragment(flags: int, payload: bytes) -> bytes:
    """The part of a block that a HEADERS frame carries."""
    if flags & PADDED:
        payload = unpad(payload)
    if flags & HAS_PRIORITY:
        if len(payload) < 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS with priority")
        payload = payload[5:]
    return payload


class PendingBlock:
    """A block of which CONTINUATIONs are to come: no other frame may come before them."""

    __slots__ = ("_bytes_max", "_parts", "_size", "flags", "stream_id")

    def __init__(self, stream_id: int, flags: int, first: bytes, bytes_max: int) -> None:
        """flags: of the HEADERS frame."""
        self.stream_id = stream_id
        self.flags = flags
        self._parts = [first]
        self._size = len(first)
        self._bytes_max = bytes_max

    def add(self, flags: int, payload: bytes) -> bytes | None:
        """The next part; the whole block if this was the last. Raises ConnectionFault for too much."""
        self._parts.append(payload)
        self._size += len(payload)
        if self._size > self._bytes_max or len(self._parts) > PARTS_MAX:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block is too large")
        return b"".join(self._parts) if flags & END_HEADERS else None
