"""Header blocks: decoded with hpack and remembered by their bytes; encoded as literals that change no table.

A client that makes the same call again sends the same block again, once its encoder has the names in its table. Such a
block is decoded once. It is remembered only if it changes nothing in the decoder's table, and everything is forgotten
when another block does: the same bytes would mean something else then. Metadata that is new with each call, such as a place
in a session, can be told from the head of its block.
"""

from typing import Final, Generic, TypeVar

import hpack

from raftwerk.http2.errors import ConnectionFault, ErrorCode

Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

CACHE_MAX: Final = 64
"""Blocks that are remembered."""
CACHE_BLOCK_BYTES_MAX: Final = 512
"""Longer ones are not: each byte may stand for a whole header."""
INTEGER_SHIFT_MAX: Final = 28
"""Of a number's last byte: five bytes are enough for every size there is, and more cost time with their square."""
TABLE_BYTES: Final = 4096
SPLIT_BLOCK_BYTES_MAX: Final = 2048
"""Longer blocks are not split: metadata so short is far from any limit of a header list."""


class HeaderDecoder(Generic[T]):
    """Decodes the blocks of one connection, in order. T: what the owner makes of a block's headers."""

    def __init__(self, header_list_bytes_max: int) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=header_list_bytes_max)
        self._decoder.max_allowed_table_size = TABLE_BYTES
        self._cache: dict[bytes, T] = {}

    def cached(self, block: bytes) -> T | None:
        """What was kept for the same bytes under the same table."""
        return self._cache.get(block)

    def decode(self, block: bytes) -> Headers:
        """Raises ConnectionFault: after an error the table is not known any more."""
        if changes_table(block):
            self._cache.clear()
        try:
            return [
                (bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)
            ]
        except hpack.OversizedHeaderListError as error:
            raise ConnectionFault(
                ErrorCode.ENHANCE_YOUR_CALM, "header list is too large"
            ) from error
        except (hpack.HPACKError, UnicodeDecodeError) as error:
            text = "header block cannot be decoded"  # the error's own may hold an address of this process
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, text) from error

    def keep(self, block: bytes, value: T) -> None:
        """Remember, if that is sound."""
        if len(block) <= CACHE_BLOCK_BYTES_MAX and not changes_table(block):
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[block] = value


def changes_table(block: bytes) -> bool:
    """Whether decoding this block inserts into the table or resizes it (RFC 7541, section 6). True for a broken one."""
    offset = 0
    try:
        while offset < len(block):
            if not block[offset] & 0x80 and block[offset] & 0x60:
                return True
            offset = _end_of_field(block, offset)
    except (IndexError, ValueError):
        return True
    return offset != len(block)


def split(block: bytes, known: bytes = b"") -> tuple[bytes, Headers]:
    """The head of a block, and the custom metadata at its end: literals without indexing or Huffman code.

    Decoding the head and adding the metadata is the same as decoding the block. All of a broken one is head.

    known: the head of another block. One that begins with it is taken apart from there on: it ends where a field does.
    """
    metadata: Headers = []
    head_bytes = offset = len(known) if block.startswith(known) else 0
    if len(block) > SPLIT_BLOCK_BYTES_MAX:
        return block, metadata
    try:
        while offset < len(block):
            start, offset = offset, _end_of_field(block, offset)
            field = _custom_literal(block, start)
            if field is not None:
                metadata.append(field)
            else:
                head_bytes = offset
                metadata.clear()
    except (IndexError, ValueError):
        return block, []
    return (block[:head_bytes], metadata) if offset == len(block) else (block, [])


def _custom_literal(block: bytes, start: int) -> tuple[bytes, bytes] | None:
    """A field, if its name and value stand there as they are and its name is one that gRPC leaves to its users."""
    if block[start] or block[start + 1] & 0x80:
        return None
    length, name_at = _integer(block, start + 1, 7)
    value_at = name_at + length
    name = block[name_at:value_at]
    if block[value_at] & 0x80 or name.startswith((b"grpc-", b"content-", b":")):
        return None
    length, value_at = _integer(block, value_at, 7)
    return name, block[value_at : value_at + length]


def _end_of_field(block: bytes, offset: int) -> int:
    """Where the next representation begins (RFC 7541, section 6)."""
    first = block[offset]
    if first & 0x80:  # indexed
        return _integer(block, offset, 7)[1]
    if first & 0x60 == 0x20:  # table size
        return _integer(block, offset, 5)[1]
    name, offset = _integer(block, offset, 6 if first & 0x40 else 4)
    for _ in range(1 if name else 2):
        length, offset = _integer(block, offset, 7)
        offset += length
    return offset


def _integer(data: bytes, offset: int, prefix_bits: int) -> tuple[int, int]:
    mask = (1 << prefix_bits) - 1
    number = data[offset] & mask
    offset += 1
    if number < mask:
        return number, offset
    for shift in range(0, INTEGER_SHIFT_MAX + 1, 7):
        byte = data[offset]
        offset += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
    raise ValueError("a number without an end")


def _encode_integer(number: int, prefix_bits: int, first: int) -> bytes:
    mask = (1 << prefix_bits) - 1
    if number < mask:
        return bytes((first | number,))
    parts = bytearray((first | mask,))
    number -= mask
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def literal(name: bytes, value: bytes) -> bytes:
    """One header as a literal without indexing: needs no table on either side."""
    return (
        b"\x00"
        + _encode_integer(len(name), 7, 0)
        + name
        + _encode_integer(len(value), 7, 0)
        + value
    )


def literal_indexed_name(index: int, value: bytes) -> bytes:
    """The same, for a name of the static table (RFC 7541, appendix A)."""
    return _encode_integer(index, 4, 0) + _encode_integer(len(value), 7, 0) + value
