"""Segments: the files of the log, preallocated, each readable without those before it.

A segment begins with a header: magic, then one record (sequence and durable_offset tell nothing there) that names the
format, the cluster, the node and the segment, and says what the log was when the segment began. Zeros follow up to
HEADER_BYTES.
"""

from typing import Final

import msgspec

from raftwerk.errors import CorruptData, DataDirError
from raftwerk.raft.types import Index, NodeId, Term
from raftwerk.wal import record
from raftwerk.wal.disk import File

MAGIC: Final = b"rwwal\r\n\0"
VERSION: Final = 1
SUFFIX: Final = ".wal"
SPARE: Final = "spare" + SUFFIX
HEADER_BYTES: Final = 512
"""Reserved for magic and header; the first record of the log proper starts here."""


class SegmentHeader(msgspec.Struct, frozen=True):
    """size: of the file, in bytes. first_sequence: of its first record. current_term, voted_for, prev_index, prev_term: the
    hard state and the last entry of the log when the segment began.
    """

    version: int
    cluster_id: int
    node_id: NodeId
    number: int
    size: int
    first_sequence: int
    current_term: Term
    voted_for: NodeId
    prev_index: Index
    prev_term: Term


def name_of(number: int) -> str:
    """The file name of a segment.

    >>> name_of(7)
    '0000000000000007.wal'
    """
    return f"{number:016d}{SUFFIX}"


def number_of(name: str) -> int | None:
    """The inverse; None for the name of something else."""
    stem = name.removesuffix(SUFFIX)
    return int(stem) if name.endswith(SUFFIX) and len(stem) == 16 and stem.isdecimal() else None


def encode_header(header: SegmentHeader) -> bytes:
    """HEADER_BYTES bytes."""
    payload = msgspec.msgpack.encode(header)
    data = MAGIC + record.encode_record(payload, header.number, 1, 0)
    assert len(data) <= HEADER_BYTES
    return data.ljust(HEADER_BYTES, b"\0")


def read_header(file: File, path: str, number: int) -> SegmentHeader:
    """The header of segment `number`. Raises CorruptData, or DataDirError for a format from the future."""
    data = file.read(0, HEADER_BYTES)
    if not data.startswith(MAGIC):
        raise CorruptData(path, 0, "this is not a log segment of raftwerk")
    found = record.read_record(data, len(MAGIC), number)
    if found is None or data[len(MAGIC) + record.size_on_disk(found[0].length) :].strip(b"\0"):
        raise CorruptData(path, len(MAGIC), "the segment header has a wrong checksum")
    payload = found[1]
    version = msgspec.msgpack.decode(payload)["version"]
    if version != VERSION:
        raise DataDirError(
            f"{path}: log format {version} is not known here (this version writes {VERSION}). Was the folder written by a "
            "newer raftwerk? Start it with that version."
        )
    header = msgspec.msgpack.decode(payload, type=SegmentHeader)
    if header.size != file.size:
        raise CorruptData(
            path, file.size, f"the file ends here, it was made {header.size} bytes long"
        )
    return header
