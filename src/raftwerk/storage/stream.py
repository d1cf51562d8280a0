"""The snapshot stream: all rows of a store, as bytes that end with their own proof.

magic     8 bytes
blocks    length (4 bytes, big-endian), then MessagePack: a list of [table, key, value]
end       length 0, number of rows (8 bytes), BLAKE2b of everything before the digest (16 bytes)
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from raftwerk.errors import CorruptData
from raftwerk.kv.store import Table

MAGIC: Final = b"rwsnap\x001"
BLOCK_ROWS: Final = 200
BLOCK_BYTES: Final = 64 * 1024
BLOCK_BYTES_MAX: Final = 64 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")
_COUNT: Final = struct.Struct(">Q")
_DIGEST_BYTES: Final = 16

Row = tuple[int, bytes, bytes]

_decode_rows: Final = msgspec.msgpack.Decoder(list[Row]).decode
_encode_rows: Final = msgspec.msgpack.Encoder().encode


PAUSE: Final = _LENGTH.pack(1) + _encode_rows([])
"""A block of no rows."""


def encode_stream(rows: Iterator[Row | None]) -> Iterator[bytes]:
    """The stream, in pieces of about BLOCK_BYTES. None among the rows: a PAUSE comes, at which a read ends."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    count = 0

    def hashed(piece: bytes) -> bytes:
        digest.update(piece)
        return piece

    yield hashed(MAGIC)
    block: list[Row] = []
    size = 0
    for row in rows:
        if row is None:
            yield hashed(PAUSE)
            continue
        block.append(row)
        size += len(row[1]) + len(row[2])
        count += 1
        if len(block) >= BLOCK_ROWS or size >= BLOCK_BYTES:
            data = _encode_rows(block)
            yield hashed(_LENGTH.pack(len(data)) + data)
            block, size = [], 0
    if block:
        data = _encode_rows(block)
        yield hashed(_LENGTH.pack(len(data)) + data)
    yield hashed(_LENGTH.pack(0) + _COUNT.pack(count)) + digest.digest()


class StreamDecoder:
    """Rows out of the bytes of a stream, however they are cut; each is one that a store can hold.

    Raises CorruptData for a stream that is not whole, or has other rows.
    """

    def __init__(self, source: str, *, is_padded: bool = False) -> None:
        """source: for error texts. is_padded: zeros may follow the stream."""
        self._source = source
        self._is_padded = is_padded
        self._buffer = bytearray()
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._has_magic = False
        self._count = 0
        self._offset = 0
        self.is_complete = False

    def feed(self, data: bytes) -> list[Row]:
        """The rows that are complete now."""
        self._buffer += data
        rows: list[Row] = []
        if not self._has_magic:
            if len(self._buffer) < len(MAGIC):
                return rows
            if self._take(len(MAGIC)) != MAGIC:
                raise self._corrupt("this is not a snapshot of raftwerk")
            self._has_magic = True
        while not self.is_complete and len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > BLOCK_BYTES_MAX:
                raise self._corrupt(f"a block claims {length} bytes")
            if not length:
                if len(self._buffer) < _LENGTH.size + _COUNT.size + _DIGEST_BYTES:
                    break
                self._finish()
            elif len(self._buffer) < _LENGTH.size + length:
                break
            else:
                block = self._take(_LENGTH.size + length)[_LENGTH.size :]
                try:
                    new = _decode_rows(block)
                except msgspec.MsgspecError as error:
                    raise self._corrupt(f"a block cannot be read: {error}") from error
                self._check(new)
                self._count += len(new)
                rows += new
        if self.is_complete and self._is_padded and not any(self._buffer):
            self._buffer.clear()
        if self.is_complete and self._buffer:
            raise self._corrupt("more follows the end of the stream")
        return rows

    @property
    def row_count(self) -> int:
        """Rows so far."""
        return self._count

    @property
    def stream_bytes(self) -> int:
        """The length of a complete stream."""
        return self._offset + _DIGEST_BYTES

    def check_complete(self) -> None:
        """Raise CorruptData if the end of the stream has not come."""
        if not self.is_complete:
            raise self._corrupt("the stream ends too early")

    def _check(self, rows: list[Row]) -> None:
        for table, key, _ in rows:
            if not 0 <= table < len(Table):
                raise self._corrupt(
                    f"a row is of table {table}, which this version of raftwerk does not know. Did a newer one write the "
                    "snapshot? Then use that version"
                )
            if not key:
                raise self._corrupt(f"a row of table {Table(table).name.lower()} has no key")

    def _finish(self) -> None:
        (count,) = _COUNT.unpack(self._take(_LENGTH.size + _COUNT.size)[_LENGTH.size :])
        digest = self._digest.digest()
        if bytes(self._buffer[:_DIGEST_BYTES]) != digest or count != self._count:
            raise self._corrupt("the checksum of the stream is wrong")
        del self._buffer[:_DIGEST_BYTES]
        self.is_complete = True

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._digest.update(data)
        self._offset += size
        return data

    def _corrupt(self, reason: str) -> CorruptData:
        return CorruptData(self._source, self._offset, reason)
