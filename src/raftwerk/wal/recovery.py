"""Recovery: from the files of the log to the state that was durable, or a refusal. Never a guess.

What a crash may leave is a torn tail: the last group of the last segment, of which some sectors were written and others
still hold the zeros that they were created with. It was never vouched for, and is cut off. Anything else that cannot be
read is damage. The two are told apart by three facts:

1. A readable record whose durable_offset lies behind the bad place proves that the bad place had been durable: damage.
2. A torn write left a sector all zeros, or stopped before its last byte, which is then zero, as written it never is. What
   shows neither was written whole: damage. This is asked of the head alone if its checksum is wrong (the first byte of the
   payload tells that it was written to its end), else of the whole record.
3. Segments have their full size before they are used: a shorter file is damage.

What cannot be told apart: damage inside the very last group, in a record whose data happens to contain a sector of zeros.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from raftwerk.errors import REPAIR, CorruptData, DataDirError
from raftwerk.raft.types import NOBODY, Entry, Index, NodeId, Term
from raftwerk.wal import record, segment
from raftwerk.wal.disk import Disk
from raftwerk.wal.record import Change
from raftwerk.wal.segment import HEADER_BYTES, SegmentHeader

SECTOR: Final = 512


@dataclass(slots=True)
class LogImage:
    """The log as its records describe it, record by record. Entries start after base_index."""

    current_term: Term = 0
    voted_for: NodeId = NOBODY
    base_index: Index = 0
    base_term: Term = 0
    entries: list[Entry] = field(default_factory=list)
    is_base_compacted: bool = True
    """Whether the base comes from a segment's header: what was before it is compacted away."""

    @property
    def last_index(self) -> Index:
        return self.base_index + len(self.entries)

    @property
    def last_term(self) -> Term:
        return self.entries[-1].term if self.entries else self.base_term

    def take(self, change: Change) -> str:
        """Carry out one record. Returns what is wrong with it, or ""."""
        self.current_term = change.current_term
        self.voted_for = change.voted_for
        if change.reset_to is not None:
            self.base_index = change.reset_to.last_included_index
            self.base_term = change.reset_to.last_included_term
            self.entries.clear()
            self.is_base_compacted = False
        if (
            self.is_base_compacted
            and 0 < change.truncate_from <= self.base_index
            and change.entries
        ):
            # The record replaced entries of a segment that is gone. All of those are compacted, so the first new one will do
            # as the base.
            self.base_index = change.entries[0].index
            self.base_term = change.entries[0].term
            self.entries = list(change.entries[1:])
            return ""
        if change.truncate_from:
            if not self.base_index < change.truncate_from <= self.last_index:
                return f"it truncates from {change.truncate_from}, the log has {self.base_index + 1}..{self.last_index}"
            del self.entries[change.truncate_from - self.base_index - 1 :]
        for entry in change.entries:
            if entry.index != self.last_index + 1:
                return f"entry {entry.index} follows {self.last_index}"
            self.entries.append(entry)
        return ""


@dataclass(slots=True)
class SegmentScan:
    """What one segment holds. stop: where the next record would go; torn_bytes: how much after it is not zero."""

    header: SegmentHeader
    changes: list[tuple[int, int, Change]] = field(default_factory=list)
    """(offset, sequence, change)."""
    stop: int = HEADER_BYTES
    torn_bytes: int = 0
    max_index: Index = 0


def scan(disk: Disk, directory: str, number: int, *, is_last: bool) -> SegmentScan:
    """Read one segment. Raises CorruptData for damage; only the last segment may have a torn tail."""
    name = segment.name_of(number)
    path = f"{directory}/{name}"
    file = disk.open(name, read_only=True)
    try:
        found = SegmentScan(segment.read_header(file, path, number))
        data = file.read(0, file.size)
    finally:
        file.close()
    sequence = found.header.first_sequence
    while (read := record.read_record(data, found.stop, number)) is not None:
        head, payload = read
        if head.sequence != sequence:
            raise CorruptData(
                path, found.stop, f"record {sequence} was expected, {head.sequence} is here"
            )
        try:
            change = record.decode_payload(payload)
        except msgspec.MsgspecError as error:
            raise CorruptData(
                path, found.stop, f"record {sequence} cannot be read: {error}"
            ) from error
        found.changes.append((found.stop, sequence, change))
        if change.entries:
            found.max_index = max(found.max_index, change.entries[-1].index)
        found.stop += record.size_on_disk(head.length)
        sequence += 1
    _judge_rest(data, path, number, found, is_last=is_last)
    return found


def _judge_rest(data: bytes, path: str, number: int, found: SegmentScan, *, is_last: bool) -> None:
    """What follows the last readable record: nothing, a torn tail, or damage."""
    stop = found.stop
    found.torn_bytes = len(data[stop:].rstrip(b"\0"))
    if not found.torn_bytes:
        return
    if not is_last:
        raise CorruptData(path, stop, "a record is damaged, and a later segment follows")
    vouched = _find_vouching_record(data, number, found)
    if vouched:
        raise CorruptData(path, stop, f"a record is damaged, a later one (byte {vouched}) is whole")
    head = record.read_head(data, stop, number)
    if head is None:
        if not _looks_torn(data, stop, stop + record.HEADER.size + 1):
            raise CorruptData(path, stop, "the head of the last record has a wrong checksum")
        return
    end = stop + record.HEADER.size + head.length + len(record.END)
    if not _looks_torn(data, stop, end):
        raise CorruptData(
            path, stop, "the last record was written whole, but its checksum is wrong"
        )


def _find_vouching_record(data: bytes, number: int, found: SegmentScan) -> int:
    """The offset of a readable record behind the bad place that proves that it had been durable; 0 if there is none."""
    next_sequence = found.header.first_sequence + len(found.changes)
    first = found.stop + record.ALIGNMENT
    for offset in range(first, found.stop + found.torn_bytes, record.ALIGNMENT):
        sequence = int.from_bytes(data[offset + 8 : offset + 16], "big")
        if not next_sequence < sequence <= next_sequence + found.torn_bytes:
            continue  # not worth a checksum
        read = record.read_record(data, offset, number)
        if read is not None:
            return offset if read[0].durable_offset > found.stop else 0
    return 0


def _looks_torn(data: bytes, start: int, end: int) -> bool:
    """Whether a write of start..end, whose last byte was not zero, was not carried out whole."""
    if not data[end - 1 : end].strip(b"\0"):
        return True
    for sector in range(start - start % SECTOR, end, SECTOR):
        if not data[max(start, sector) : min(end, sector + SECTOR)].strip(b"\0"):
            return True
    return False


@dataclass(slots=True)
class Recovery:
    """Everything that was durable: the image of the log, and where writing goes on."""

    image: LogImage
    scans: dict[int, SegmentScan]
    """By segment number, ascending."""
    next_sequence: int
    torn_bytes: int


def recover(disk: Disk, directory: str, cluster_id: int, node_id: NodeId) -> Recovery | None:
    """Read the log in `disk`; None if there is none yet.

    Raises CorruptData (damage) and DataDirError (another cluster's or member's log, a gap between segments).
    """
    numbers = sorted(
        number for name in disk.names() if (number := segment.number_of(name)) is not None
    )
    if not numbers:
        return None
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        missing = next(number for number in range(numbers[0], numbers[-1]) if number not in numbers)
        raise DataDirError(
            f"{directory}/{segment.name_of(missing)} is missing: the log has a gap. {REPAIR}."
        )
    scans = {
        number: scan(disk, directory, number, is_last=number == numbers[-1]) for number in numbers
    }
    first = scans[numbers[0]].header
    image = LogImage(first.current_term, first.voted_for, first.prev_index, first.prev_term)
    sequence = first.first_sequence
    for number, found in scans.items():
        path = f"{directory}/{segment.name_of(number)}"
        _check_owner(found.header, path, cluster_id, node_id)
        problem = _contradiction(found.header, sequence, image)
        if problem:
            raise CorruptData(path, 0, problem)
        for offset, _, change in found.changes:
            problem = image.take(change)
            if problem:
                raise CorruptData(path, offset, problem)
            sequence += 1
    torn_bytes = scans[numbers[-1]].torn_bytes
    return Recovery(image, scans, sequence, torn_bytes)


def _contradiction(header: SegmentHeader, sequence: int, image: LogImage) -> str:
    """How a segment's header contradicts the segments before it, or ""."""
    if header.first_sequence != sequence:
        return f"it begins with record {header.first_sequence}, {sequence} was expected"
    said = (header.prev_index, header.prev_term, header.current_term, header.voted_for)
    found = (image.last_index, image.last_term, image.current_term, image.voted_for)
    if said != found:
        return f"it goes on from (index, term, current term, vote) {said}, the segments before it end at {found}"
    return ""


def _check_owner(header: SegmentHeader, path: str, cluster_id: int, node_id: NodeId) -> None:
    if header.cluster_id != cluster_id or header.node_id != node_id:
        raise DataDirError(
            f"{path} belongs to member {header.node_id:x} of cluster {header.cluster_id:x}, but this is member "
            f"{node_id:x} of cluster {cluster_id:x}. Use this member's own data folder."
        )
