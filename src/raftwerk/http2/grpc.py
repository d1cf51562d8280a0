"""gRPC over HTTP/2: message framing, status, timeouts."""

import re
import struct
import zlib
from typing import Final

from raftwerk.http2.errors import bare
from raftwerk.http2.headers import literal

PREFIX: Final = struct.Struct(">BI")
PREFIX_BYTES: Final = PREFIX.size

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_UNITS_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class MessageFault(Exception):
    """A message that cannot be taken: status and text for the caller."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


_NOTHING: Final = bytearray()
"""What every reader holds whose messages came whole until now: as a rule, to its end. Stays empty."""


class MessageReader:
    """Messages out of DATA payloads, however they are cut."""

    __slots__ = ("_bytes_max", "_is_gzip", "_wanted_bytes", "fault", "held")

    def __init__(self, bytes_max: int, *, is_gzip: bool = False) -> None:
        self._bytes_max = bytes_max
        self._is_gzip = is_gzip
        self.held = _NOTHING
        """The beginning of a message that is not complete."""
        self._wanted_bytes = 0
        """To be held, for there to be something to look at."""
        self.fault: MessageFault | None = None
        """Why no message comes any more: one could not be taken."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now."""
        size = len(data)
        if self.held:
            self.held += data
            size = len(self.held)
            if size < self._wanted_bytes:
                return []
            data = bytes(self.held)
            self.held.clear()
        elif size >= PREFIX_BYTES and self.fault is None:  # most often it is one whole message
            flag, length = PREFIX.unpack_from(data)
            if not flag and length + PREFIX_BYTES == size and length <= self._bytes_max:
                return [data[PREFIX_BYTES:]]
        return self._cut(data, size)

    def _cut(self, data: bytes, size: int) -> list[bytes]:
        messages: list[bytes] = []
        if self.fault is not None:
            return messages
        start = 0
        wanted = PREFIX_BYTES
        try:
            while size - start >= PREFIX_BYTES:
                flag, length = PREFIX.unpack_from(data, start)
                self._check_prefix(flag, length)
                wanted = PREFIX_BYTES + length
                if size - start < wanted:
                    break
                message = data[start + PREFIX_BYTES : start + wanted]
                messages.append(self._inflate(message) if flag else message)
                start += wanted
                wanted = PREFIX_BYTES
        except MessageFault as fault:
            bare(fault)
            self.fault = fault
            return messages
        if start < size:
            if self.held is _NOTHING:
                self.held = bytearray()
            self.held += data[start:]
            self._wanted_bytes = wanted
        return messages

    def _check_prefix(self, flag: int, length: int) -> None:
        if flag and (flag != 1 or not self._is_gzip):
            text = "grpc: message compression is not supported but by gzip"
            raise MessageFault(UNIMPLEMENTED, text)
        if length > self._bytes_max:
            raise self._too_large(length)

    def _inflate(self, message: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=31)
        try:
            plain = inflater.decompress(message, self._bytes_max + 1)
        except zlib.error as error:
            raise _not_inflated(str(error)) from error
        if len(plain) > self._bytes_max:
            raise self._too_large(len(plain))
        if not inflater.eof:
            raise _not_inflated("unexpected end")
        return plain

    def _too_large(self, length: int) -> MessageFault:
        text = f"grpc: received message larger than max ({length} vs. {self._bytes_max})"
        return MessageFault(RESOURCE_EXHAUSTED, text)


def _not_inflated(why: str) -> MessageFault:
    return MessageFault(INTERNAL, f"grpc: failed to decompress the received message: {why}")


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
    data = _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), value)
    return data.decode(errors="replace")


def status_block(status: int, text: str = "") -> bytes:
    """The header block of trailers."""
    block = literal(b"grpc-status", str(status).encode())
    return block + literal(b"grpc-message", encode_text(text)) if text else block
