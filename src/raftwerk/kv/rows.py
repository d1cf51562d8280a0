"""The rows of the key-value machine's tables: how versions of keys stand in the store.

KEYS: user key -> its newest version, deleted or not: where it is, and what can be said without its value. REVISIONS:
(main, sub) -> what happened there, with a link to the version of the same key before it. So a put writes two rows, one
of them at the end; the newest state is one scan; an older one follows the links.

A version is stored as a serialized mvccpb.KeyValue: answers and events are made of it without decoding.
"""

import struct
from typing import Final, NamedTuple

REVISION: Final = struct.Struct(">QI")
"""(main, sub): the key of a REVISIONS row; orders as revisions do."""
KEY_ROW: Final = struct.Struct(">QIQQq")
VERSION_SLICE: Final = slice(20, 28)
"""Of a KEYS row; zeros for a deleted key."""
NO_VERSION: Final = bytes(8)
REVISION_HEAD: Final = struct.Struct(">BQI")
PUT: Final = 0
DELETE: Final = 1


class KeyRow(NamedTuple):
    """The newest version of a key. version 0: it is deleted."""

    mod_revision: int
    sub: int
    create_revision: int
    version: int
    lease: int

    def encode(self) -> bytes:
        return KEY_ROW.pack(*self)

    @staticmethod
    def decode(data: bytes) -> "KeyRow":
        return KeyRow._make(KEY_ROW.unpack(data))


class RevisionRow(NamedTuple):
    """What happened at a revision. prev_main 0: the key was never there before."""

    is_delete: bool
    prev_main: int
    prev_sub: int
    key_value: bytes

    def encode(self) -> bytes:
        kind = DELETE if self.is_delete else PUT
        return REVISION_HEAD.pack(kind, self.prev_main, self.prev_sub) + self.key_value

    @staticmethod
    def decode(data: bytes) -> "RevisionRow":
        kind, prev_main, prev_sub = REVISION_HEAD.unpack_from(data)
        return RevisionRow(kind == DELETE, prev_main, prev_sub, data[REVISION_HEAD.size :])


KEY_VALUE_FROM: Final = REVISION_HEAD.size
"""Where the KeyValue starts in an encoded RevisionRow."""


class KeyValue(NamedTuple):
    """mvccpb.KeyValue."""

    key: bytes
    create_revision: int
    mod_revision: int
    version: int
    value: bytes
    lease: int


_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))


def varint(number: int) -> bytes:
    """Protobuf's base-128 encoding; negative numbers as 64-bit two's complement."""
    if number < 0x80:
        return _SMALL[number] if number >= 0 else varint(number + (1 << 64))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if number < 0x200000:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def encode_key_value(
    key: bytes, create_revision: int, mod_revision: int, version: int, value: bytes, lease: int
) -> bytes:
    """The canonical serialization: fields in order, those that are zero left out.

    >>> encode_key_value(b"k", 2, 3, 2, b"v", 0).hex()
    '0a016b1002180320022a0176'
    """
    data = b"\x0a" + varint(len(key)) + key if key else b""
    if create_revision:
        data += b"\x10" + varint(create_revision)
    if mod_revision:
        data += b"\x18" + varint(mod_revision)
    if version:
        data += b"\x20" + varint(version)
    if value:
        data += b"\x2a" + varint(len(value)) + value
    if lease:
        data += b"\x30" + varint(lease)
    return data


def decode_key_value(data: bytes) -> KeyValue:
    """The inverse, for bytes that encode_key_value made."""
    numbers = [0] * 7
    texts = {1: b"", 5: b""}
    offset = 0
    while offset < len(data):
        field = data[offset] >> 3
        number, offset = read_varint(data, offset + 1)
        if field in texts:
            texts[field] = data[offset : offset + number]
            offset += number
        else:
            numbers[field] = number if number < 1 << 63 else number - (1 << 64)
    return KeyValue(texts[1], numbers[2], numbers[3], numbers[4], texts[5], numbers[6])


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7
