"""gRPC over HTTP/2: message framing, status, timeouts."""

import struct
import zlib
from typing import Final

from raftwerk.http2.headers import literal

PREFIX: Final = struct.Struct(">BI")

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14

_UNITS_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class MessageFault(Exception):
    """A message that cannot be taken: status and text for the caller."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


class MessageReader:
    """Messages out of DATA payloads, however they are cut."""

    __slots__ = ("_buffer", "_bytes_max", "_is_gzip")

    def __init__(self, bytes_max: int, *, is_gzip: bool = False) -> None:
        self._bytes_max = bytes_max
        self._is_gzip = is_gzip
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Raises MessageFault."""
        buffer = self._buffer + data if self._buffer else data
        messages = []
        start = 0
        while len(buffer) - start >= 5:
            flag, length = PREFIX.unpack_from(buffer, start)
            if length > self._bytes_max:
                raise self._too_large(length)
            stop = start + 5 + length
            if len(buffer) < stop:
                break
            messages.append(self._plain(flag, buffer[start + 5 : stop]))
            start = stop
        self._buffer = buffer[start:] if start else buffer
        return messages

    @property
    def is_empty(self) -> bool:
        return not self._buffer

    def _plain(self, flag: int, message: bytes) -> bytes:
        if not flag:
            return message
        if flag != 1 or not self._is_gzip:
            raise MessageFault(
                UNIMPLEMENTED, "grpc: message compression is not supported but by gzip"
            )
        inflater = zlib.decompressobj(wbits=31)
        try:
            plain = inflater.decompress(message, self._bytes_max + 1)
        except zlib.error as error:
            raise MessageFault(
                INTERNAL, f"grpc: failed to decompress the received message: {error}"
            ) from error
        if len(plain) > self._bytes_max:
            raise self._too_large(len(plain))
        return plain

    def _too_large(self, length: int) -> MessageFault:
        text = f"grpc: received message larger than max ({length} vs. {self._bytes_max})"
        return MessageFault(RESOURCE_EXHAUSTED, text)


def frame_message(message: bytes) -> bytes:
    """A message with its prefix, not compressed."""
    return PREFIX.pack(0, len(message)) + message


def parse_timeout_s(value: bytes) -> float | None:
    """The grpc-timeout header in seconds; None for a malformed one."""
    if not 2 <= len(value) <= 9 or not value[:-1].isdigit() or value[-1:] not in _UNITS_S:
        return None
    return int(value[:-1]) * _UNITS_S[value[-1:]]


def encode_text(text: str) -> bytes:
    """grpc-message: percent-encoded outside of printable ASCII."""
    return b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte
        for byte in text.encode()
    )


def decode_text(value: bytes) -> str:
    """The inverse; what is not valid stays as it is."""
    parts = value.split(b"%")
    data = bytearray(parts[0])
    for part in parts[1:]:
        try:
            data.append(int(part[:2], 16))
            data += part[2:]
        except ValueError:
            data += b"%" + part
    return data.decode(errors="replace")


def status_block(status: int, text: str = "") -> bytes:
    """The header block of trailers."""
    block = literal(b"grpc-status", str(status).encode())
    return block + literal(b"grpc-message", encode_text(text)) if text else block
