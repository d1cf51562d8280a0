"""Records: one Persist each, and the header that begins a segment.

    length          4 bytes, big-endian: of the payload
    crc32c          4 bytes: of what follows, seeded with the segment's number
    sequence        8 bytes: 1 for the first record of the log, then one more each
    durable_offset  8 bytes: everything before this place of the segment was durable when the record was written
    payload         MessagePack, then zeros up to a multiple of 8

Records that are written together (a group) have the same durable_offset: where their group starts. Since one group is
durable before the next is written, a readable record proves that everything before its durable_offset had been durable.
The seed keeps a record that was written to the wrong segment from being believed.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

import google_crc32c
import msgspec

from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Entry, Index, NodeId, Snapshot, Term

HEADER: Final = struct.Struct(">IIQQ")
ALIGNMENT: Final = 8
_CHECKED_FROM: Final = 8
"""The checksum covers a record from here."""
_SEED: Final = struct.Struct(">Q")


class RecordHead(NamedTuple):
    """The fixed part of a record."""

    length: int
    crc: int
    sequence: int
    durable_offset: int


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
    """Bytes that a record with such a payload takes, padding included."""
    size = HEADER.size + payload_length
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
    tail = struct.pack(">QQ", sequence, durable_offset)
    crc = google_crc32c.extend(_seeded(segment, tail), payload)
    record = struct.pack(">II", len(payload), crc) + tail + payload
    return record + bytes(-len(record) % ALIGNMENT)


def read_head(data: bytes, offset: int) -> RecordHead:
    """The fixed part at `offset`; there must be HEADER.size bytes."""
    return RecordHead(*HEADER.unpack_from(data, offset))


def is_intact(data: bytes, offset: int, segment: int) -> bool:
    """Whether a whole record stands at `offset`, and its checksum is right."""
    if len(data) < offset + HEADER.size:
        return False
    head = read_head(data, offset)
    stop = offset + HEADER.size + head.length
    if head.sequence == 0 or len(data) < stop:
        return False
    tail = data[offset + _CHECKED_FROM : offset + HEADER.size]
    payload = data[offset + HEADER.size : stop]
    return bool(google_crc32c.extend(_seeded(segment, tail), payload) == head.crc)


def _seeded(segment: int, tail: bytes) -> int:
    crc: int = google_crc32c.value(_SEED.pack(segment) + tail)
    return crc
