"""Records: one Persist each, and the header that begins a segment.

    length          4 bytes, big-endian: of the payload
    payload_crc     4 bytes: CRC32C of the payload
    sequence        8 bytes: 1 for the first record of the log, then one more each
    durable_offset  4 bytes: everything before this place of the segment was durable when the record was written
    head_crc        4 bytes: CRC32C of the segment's number (8 bytes) and the 20 bytes before
    payload         MessagePack; its first byte is never zero
    end             1 byte, 0xA5, then zeros up to a multiple of 8

Records that are written together (a group) have the same durable_offset: where their group starts. Since one group is
durable before the next is written, a readable record proves that everything before its durable_offset had been durable.
The segment's number keeps a record that was written to the wrong segment from being believed. The head has a checksum of
its own, and head and payload each end before a byte that is not zero, so that recovery can tell damage from a torn write.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

import google_crc32c
import msgspec

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, Index, NodeId, Snapshot, Term

HEADER: Final = struct.Struct(">IIQII")
ALIGNMENT: Final = 8
END: Final = b"\xa5"
_CHECKED_HEAD: Final = struct.Struct(">QIIQI")
"""What head_crc covers: the segment's number, and the head up to it."""


class RecordHead(NamedTuple):
    """The fixed part of a record."""

    length: int
    payload_crc: int
    sequence: int
    durable_offset: int
    head_crc: int


class Change(msgspec.Struct, frozen=True, array_like=True):
    """The payload of a record: a Persist without its ticket, which means nothing to the next life of the node."""

    current_term: Term
    voted_for: NodeId
    truncate_from: Index
    reset_to: Snapshot | None
    entries: Sequence[Entry]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Change).decode


def size_on_disk(payload_length: int) -> int:
    """Bytes that a record with such a payload takes, padding included.

    >>> size_on_disk(7), size_on_disk(8)
    (32, 40)
    """
    size = HEADER.size + payload_length + len(END)
    return size + -size % ALIGNMENT


def encode_payload(persist: Persist) -> bytes:
    """What the record of this Persist holds."""
    change = Change(
        persist.current_term,
        persist.voted_for,
        persist.truncate_from,
        persist.reset_to,
        persist.entries,
    )
    return _encode(change)


def decode_payload(payload: bytes) -> Change:
    """The inverse. Raises msgspec.MsgspecError for bytes that are none."""
    return _decode(payload)


def encode_record(payload: bytes, segment: int, sequence: int, durable_offset: int) -> bytes:
    """A whole record, padded."""
    length, payload_crc = len(payload), google_crc32c.value(payload)
    head_crc = _head_crc(segment, length, payload_crc, sequence, durable_offset)
    head = HEADER.pack(length, payload_crc, sequence, durable_offset, head_crc)
    return (head + payload + END).ljust(size_on_disk(length), b"\0")


def read_head(data: bytes, offset: int, segment: int) -> RecordHead | None:
    """The fixed part at `offset`; None if it is not all there, or its checksum is wrong."""
    if len(data) < offset + HEADER.size:
        return None
    head = RecordHead(*HEADER.unpack_from(data, offset))
    return head if _head_crc(segment, *head[:4]) == head.head_crc else None


def read_record(data: bytes, offset: int, segment: int) -> tuple[RecordHead, bytes] | None:
    """The record at `offset`, as its head and payload; None if it is not whole, or a checksum is wrong."""
    head = read_head(data, offset, segment)
    if head is None:
        return None
    start = offset + HEADER.size
    stop = start + head.length
    payload = data[start:stop]
    if google_crc32c.value(payload) != head.payload_crc:
        return None
    end = END.ljust(size_on_disk(head.length) - HEADER.size - head.length, b"\0")
    return (head, payload) if data[stop : stop + len(end)] == end else None


def _head_crc(
    segment: int, length: int, payload_crc: int, sequence: int, durable_offset: int
) -> int:
    crc: int = google_crc32c.value(
        _CHECKED_HEAD.pack(segment, length, payload_crc, sequence, durable_offset)
    )
    return crc
