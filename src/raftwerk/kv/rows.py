"""The rows of the key-value machine's tables: how versions of keys stand in the store (docs/store-format.md).

KEYS: user key -> its newest version, deleted or not: where it is, and what can be said without its value. REVISIONS:
revision -> what happened there, linked to older versions of the same key. So a put writes two rows, one of them at the
end; the newest state is one scan; an older one is found over the links.

Each version has two links: `prev`, to the version before, and `jump`, to one much further back, so that any version is
reached in a logarithmic number of steps. How far a jump goes follows the skew binary numbers (E. W. Myers, "An
applicative random-access stack", 1983): the versions of a key form complete trees, whose sizes are known by their ranks;
two trees of one rank and a new version make one of the next rank; a jump leads over the whole tree to the root of the
next. The KEYS row lists these roots, which are few: writing a version reads no other row.

A version is stored as a serialized mvccpb.KeyValue: answers and events are made of it without decoding.
"""

import struct
from typing import Final, NamedTuple

REVISION: Final = struct.Struct(">QI")
"""(main, sub): the key of a REVISIONS row, and a link to one. As bytes they order as revisions do."""
LINK_BYTES: Final = REVISION.size
NO_LINK: Final = bytes(LINK_BYTES)
"""Older than all revisions: where the links of a key end."""
NO_VERSION: Final = bytes(8)
ROW_BYTES: Final = 4096
"""Work that is cut into slices counts so many bytes of a value as one more row: about as long they take."""


class KeyRow(NamedTuple):
    """The newest version of a key. version 0: it is deleted."""

    mod_revision: int
    sub: int
    create_revision: int
    version: int
    lease: int

    @staticmethod
    def decode(data: bytes) -> "KeyRow":
        return KeyRow._make(KEY_ROW.unpack_from(data))


KEY_ROW: Final = struct.Struct(">QIQQq")
"""What a KEYS row begins with; its trees follow."""
KEY_ROW_HISTORY: Final = struct.Struct(">12xQQq")
"""What a newer version needs of it: create_revision, version and lease."""
VERSION_FROM: Final = 20
VERSION_TO: Final = 28
"""Where the version stands in a KEYS row; NO_VERSION for a deleted key."""
FIRST_TREE: Final = b"\0"
"""The trees of a key's first version: one, of rank 0."""
OLDER_FROM: Final = 1
OLDER_TO: Final = OLDER_FROM + LINK_BYTES
"""Where the root of the second tree stands among the trees; nothing is there if there is none."""
_RANK: Final = KEY_ROW.size
_OLDER_RANK: Final = _RANK + OLDER_TO
"""Where the ranks of the first two trees stand in a KEYS row."""


def grown(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(trees, prev, jump) of the version that follows the one of this KEYS row.

    trees: the rank of the first, then root and rank of each further one. jump: to the root of the second.
    """
    prev = data[:LINK_BYTES]
    if len(data) > _OLDER_RANK and data[_RANK] == data[_OLDER_RANK]:
        trees = _RANKS[data[_RANK] + 1] + data[_OLDER_RANK + 1 :]
        return trees, prev, trees[OLDER_FROM:OLDER_TO] or NO_LINK
    return b"".join((FIRST_TREE, prev, data[_RANK:])), prev, prev


_RANKS: Final = tuple(bytes((rank,)) for rank in range(64))


class RevisionRow(NamedTuple):
    """What happened at a revision, with links to the version before and to one far back (NO_LINK: there is none)."""

    is_delete: bool
    prev: bytes
    jump: bytes
    key_value: bytes

    @staticmethod
    def decode(data: bytes) -> "RevisionRow":
        return RevisionRow(
            data[:1] == DELETE,
            data[PREV_FROM:JUMP_FROM],
            data[JUMP_FROM:KEY_VALUE_FROM],
            data[KEY_VALUE_FROM:],
        )


PUT: Final = b"\x00"
DELETE: Final = b"\x01"
PREV_FROM: Final = 1
JUMP_FROM: Final = PREV_FROM + LINK_BYTES
KEY_VALUE_FROM: Final = JUMP_FROM + LINK_BYTES
"""Where the links and the KeyValue start in an encoded RevisionRow: the kind is first."""


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
        return (number & 0x7F | 0x80 | number >> 7 << 8).to_bytes(2, "little")
    if number < 0x200000:
        low = number & 0x7F | 0x80 | (number >> 7 & 0x7F | 0x80) << 8
        return (low | number >> 14 << 16).to_bytes(3, "little")
    if number < 0x10000000:
        low = number & 0x7F | 0x80 | (number >> 7 & 0x7F | 0x80) << 8
        return (low | (number >> 14 & 0x7F | 0x80) << 16 | number >> 21 << 24).to_bytes(4, "little")
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def encode_revision_row(
    kind: bytes,
    prev: bytes,
    jump: bytes,
    key: bytes,
    create_revision: int,
    mod_revision: int,
    version: int,
    value: bytes,
    lease: int,
) -> bytes:
    """The inverse of RevisionRow.decode: kind and links, and what encode_key_value makes of the others."""
    size, value_size = len(key), len(value)
    if create_revision and mod_revision and version and size and value_size and not lease:
        # By far the most common, in one go
        return b"".join(
            (
                kind,
                prev,
                jump,
                b"\x0a",
                varint(size),
                key,
                b"\x10",
                varint(create_revision),
                b"\x18",
                varint(mod_revision),
                b"\x20",
                varint(version),
                b"\x2a",
                varint(value_size),
                value,
            )
        )
    key_value = encode_key_value(key, create_revision, mod_revision, version, value, lease)
    return b"".join((kind, prev, jump, key_value))


def encode_key_value(
    key: bytes,
    create_revision: int,
    mod_revision: int,
    version: int,
    value: bytes,
    lease: int,
) -> bytes:
    """The canonical serialization: fields in order, those that are zero left out.

    >>> encode_key_value(b"k", 2, 3, 2, b"v", 0).hex()
    '0a016b1002180320022a0176'
    """
    data = b""
    if key:
        data += b"\x0a" + varint(len(key)) + key
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
