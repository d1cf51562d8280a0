"""Header blocks: decoded with hpack and remembered by their bytes; encoded as literals that change no table.

A client that makes the same call again sends the same block again, once its encoder has the names in its table. Such a
block is decoded once. It is remembered only if it changes nothing in the decoder's table, and everything is forgotten
when another block does: the same bytes would mean something else then.
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
            first = block[offset]
            if first & 0x80:  # indexed
                _, offset = _integer(block, offset, 7)
            elif first & 0xE0:  # 01: literal with indexing; 001: table size
                return True
            else:  # literal without indexing, or never indexed
                name, offset = _integer(block, offset, 4)
                for _ in range(1 if name else 2):
                    length, offset = _integer(block, offset, 7)
                    offset += length
    except (IndexError, ValueError):
        return True
    return offset != len(block)


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
