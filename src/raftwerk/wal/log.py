"""The durable log of one node: Persists in, jobs for the writer thread out.

    wal, recovered = Wal.open(disk, ...)
    job = wal.stage([persist, ...])     # on the loop: encode one group
    job.run()                           # on the writer thread, in order: durable when it returns

The loop's side knows where everything will stand (segment, offset, sequence) before it is written; the threads' side
writes. They share nothing but the jobs and `_Files`, which only the threads touch once the log is open.

Jobs without a ticket make the spare segment and remove segments. A second thread may run these, in their order, each after
the writes that were staged before it: what it removes is needed until then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from raftwerk.errors import DataDirError, DiskFailed, DiskFull
from raftwerk.raft.effects import Persist
from raftwerk.raft.log import Log
from raftwerk.raft.types import NOBODY, Index, NodeId, Term
from raftwerk.wal import record, segment
from raftwerk.wal.disk import NEW, Disk, File
from raftwerk.wal.recovery import Recovery, recover
from raftwerk.wal.segment import HEADER_BYTES, SPARE, SegmentHeader, encode_header, name_of

DRAFT: Final = ".draft"
SEGMENT_BYTES: Final = 16 * 1024 * 1024
ROOM_BYTES: Final = 4 * 1024 * 1024
"""With no spare segment, writes are refused when the present one has less than this left: what was accepted still fits."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was durable. is_new: there was no log yet."""

    current_term: Term
    voted_for: NodeId
    log: Log
    torn_bytes: int
    is_new: bool


class Job(Protocol):
    """Work for a thread, to be run in the order in which jobs were made (but see the module's text)."""

    last_ticket: int
    """Of the Persists that are durable when it is done; 0 for none."""

    def run(self) -> None:
        """Raises DiskFull (may be run again, nothing was lost) or DiskFailed (nothing may be run any more)."""


class _Files:
    """The threads' side: the open segment is the writer's; the spare one is too, once has_spare tells that it is ready."""

    def __init__(
        self, disk: Disk, current: File, number: int, segment_bytes: int, *, has_spare: bool
    ) -> None:
        self.disk = disk
        self.current = current
        self.number = number
        """Of the open segment. The loop's side may be ahead: what it staged may wait for space."""
        self.segment_bytes = segment_bytes
        self.has_spare = has_spare
        self.is_disk_full = False
        """There was no space for another segment when one was last wanted."""
        self.unneeded: list[str] = []
        """Segments that are still to be removed, oldest first."""
        self._is_one_retired = False
        """The next spare segment takes the space of one that was removed: a new file's costs more, and its pages too."""
        self.failure: DiskFailed | None = None

    def begin_segment(self, number: int, header: bytes, size: int) -> None:
        """Go on in a new segment."""
        if self.has_spare and size <= self.segment_bytes:
            _write_header(self.disk.open(SPARE), header)
            self.disk.rename(SPARE, name_of(number))
            self.has_spare = False
        else:
            try:
                make_segment(self.disk, number, header, size)
            except DiskFull:
                self.is_disk_full = True
                raise
        self.current.close()
        self.current = self.disk.open(name_of(number))
        self.number = number

    def make_spare(self) -> None:
        """Raises DiskFull."""
        if not self.has_spare:
            try:
                self.disk.create(SPARE, self.segment_bytes).close()
            except DiskFull:
                self.is_disk_full = True
                raise
            finally:
                self._is_one_retired = False
            self.has_spare = True
        self.is_disk_full = False

    def remove_unneeded(self) -> None:
        """Raises DiskFull."""
        while self.unneeded:
            if self._is_one_retired:
                self.disk.remove(self.unneeded[0])
            else:
                self.disk.retire(self.unneeded[0], SPARE)
                self._is_one_retired = True
            self.unneeded.pop(0)

    def guard(self) -> None:
        if self.failure is not None:
            raise self.failure


def make_segment(disk: Disk, number: int, header: bytes, size: int) -> None:
    """Without a spare one: it gets its name when its header is durable."""
    draft = f"{number:016d}{DRAFT}"
    _write_header(disk.create(draft, size), header)
    disk.rename(draft, name_of(number))


def _write_header(file: File, header: bytes) -> None:
    try:
        file.write_durable([header], 0)
    finally:
        file.close()


@dataclass(slots=True)
class WriteJob:
    """One group: perhaps a new segment, then one durable write."""

    files: _Files
    last_ticket: int
    offset: int
    records: list[bytes]
    new_segment: tuple[int, bytes, int] | None = None
    """(number, header, size)."""
    is_segment_begun: bool = False

    def run(self) -> None:
        files = self.files
        files.guard()
        try:
            if self.new_segment is not None and not self.is_segment_begun:
                files.begin_segment(*self.new_segment)
                self.is_segment_begun = True
            files.current.write_durable(self.records, self.offset)
        except DiskFailed as error:
            files.failure = error
            raise


@dataclass(slots=True)
class RemoveJob:
    """Remove whole segments that are no longer needed, oldest first: those of a job before it that found no space too."""

    files: _Files
    names: list[str]
    last_ticket: int = 0

    def run(self) -> None:
        files = self.files
        files.guard()
        files.unneeded += self.names
        self.names = []
        try:
            files.remove_unneeded()
        except DiskFailed as error:
            files.failure = error
            raise


@dataclass(slots=True)
class ReserveJob:
    """Have a spare segment ready, so that a full disk is noticed before it hurts."""

    files: _Files
    last_ticket: int = 0

    def run(self) -> None:
        files = self.files
        files.guard()
        try:
            files.make_spare()
        except DiskFull:
            return  # has_room tells
        except DiskFailed as error:
            files.failure = error
            raise


@dataclass(slots=True)
class _Segment:
    number: int
    max_index: Index = 0
    """The highest index of any entry ever written to it, truncated or not."""


@dataclass(slots=True)
class _Cursor:
    """The loop's side: where the next group goes, and what the log is there."""

    offset: int
    size: int
    next_sequence: int
    current_term: Term
    voted_for: NodeId
    last_index: Index
    last_term: Term
    segments: list[_Segment] = field(default_factory=list)


class Wal:
    """See the module's text. One instance owns its directory: the data folder's lock sees to that."""

    def __init__(self, files: _Files, cursor: _Cursor, cluster_id: int, node_id: NodeId) -> None:
        """Use Wal.open."""
        self._files = files
        self._cursor = cursor
        self._cluster_id = cluster_id
        self._node_id = node_id

    @staticmethod
    def open(
        disk: Disk,
        directory: Path,
        cluster_id: int,
        node_id: NodeId,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        must_exist: bool = False,
    ) -> "tuple[Wal, Recovered]":
        """Recover the log in `disk`, or begin a new one. directory: for error texts. must_exist: never begin a new one.

        Raises CorruptData (damage), DataDirError (another cluster's or member's, a gap), DiskFull, DiskFailed.
        """
        for name in disk.names():
            if name.endswith((NEW, DRAFT)):
                disk.remove(name)  # half-made, or retired
        recovery = recover(disk, str(directory), cluster_id, node_id)
        if recovery is None and must_exist:
            raise DataDirError(
                f"{directory} is empty, but this member was complete before: the log was lost, and with it what it promised to "
                "others. Restore the whole folder as it was when the member last ran. Do not start it with an empty folder."
            )
        has_spare = _has_spare(disk, segment_bytes)
        if recovery is None:
            header = SegmentHeader(
                segment.VERSION, cluster_id, node_id, 1, segment_bytes, 1, 0, NOBODY, 0, 0
            )
            make_segment(disk, 1, encode_header(header), segment_bytes)
            files = _Files(disk, disk.open(name_of(1)), 1, segment_bytes, has_spare=has_spare)
            cursor = _Cursor(HEADER_BYTES, segment_bytes, 1, 0, NOBODY, 0, 0, [_Segment(1)])
            recovered = Recovered(0, NOBODY, Log(), 0, is_new=True)
        else:
            number, last = next(reversed(recovery.scans.items()))
            current = disk.open(name_of(number))
            if recovery.torn_bytes:
                _cut_off(current, last.stop)
            files = _Files(disk, current, number, segment_bytes, has_spare=has_spare)
            cursor = _cursor_of(recovery, last.stop, current.size)
            image = recovery.image
            log = Log(image.base_index, image.base_term, image.entries)
            recovered = Recovered(
                image.current_term, image.voted_for, log, recovery.torn_bytes, is_new=False
            )
        wal = Wal(files, cursor, cluster_id, node_id)
        wal.reserve().run()
        return wal, recovered

    @property
    def has_room(self) -> bool:
        """False while the disk is full and the present segment nearly is, or waits for space to be made."""
        cursor, files = self._cursor, self._files
        if not files.is_disk_full:
            return True
        is_made = files.number == cursor.segments[-1].number
        return is_made and cursor.size - cursor.offset >= min(ROOM_BYTES, cursor.size // 2)

    def stage(self, persists: Sequence[Persist]) -> WriteJob:
        """Encode one group; its job makes all of them durable at once, each one whole or not at all."""
        cursor = self._cursor
        payloads = [record.encode_payload(persist) for persist in persists]
        size = sum(record.size_on_disk(len(payload)) for payload in payloads)
        new_segment = None
        if cursor.offset + size > cursor.size:
            new_segment = self._next_segment(size)
        number = cursor.segments[-1].number
        group_offset = cursor.offset
        records = []
        for sequence, payload in enumerate(payloads, cursor.next_sequence):
            records.append(record.encode_record(payload, number, sequence, group_offset))
        cursor.offset += size
        cursor.next_sequence += len(persists)
        for persist in persists:
            self._follow(persist)
        return WriteJob(self._files, persists[-1].ticket, group_offset, records, new_segment)

    def _next_segment(self, size: int) -> tuple[int, bytes, int]:
        cursor = self._cursor
        number = cursor.segments[-1].number + 1
        segment_size = max(self._files.segment_bytes, HEADER_BYTES + size)
        header = SegmentHeader(
            segment.VERSION,
            self._cluster_id,
            self._node_id,
            number,
            segment_size,
            cursor.next_sequence,
            cursor.current_term,
            cursor.voted_for,
            cursor.last_index,
            cursor.last_term,
        )
        cursor.segments.append(_Segment(number))
        cursor.offset = HEADER_BYTES
        cursor.size = segment_size
        return number, encode_header(header), cursor.size

    def _follow(self, persist: Persist) -> None:
        """Keep the loop's idea of the log: what the next segment's header will say."""
        assert persist.entries or not persist.truncate_from, "entries are only ever replaced"
        cursor = self._cursor
        cursor.current_term = persist.current_term
        cursor.voted_for = persist.voted_for
        if persist.reset_to is not None:
            cursor.last_index = persist.reset_to.last_included_index
            cursor.last_term = persist.reset_to.last_included_term
        if persist.entries:
            cursor.last_index = persist.entries[-1].index
            cursor.last_term = persist.entries[-1].term
            newest = cursor.segments[-1]
            newest.max_index = max(newest.max_index, cursor.last_index)

    def compact(self, index: Index) -> RemoveJob | None:
        """Entries up to and including `index` are not needed any more: a job that removes segments, if any is free."""
        segments = self._cursor.segments
        names = []
        while len(segments) > 1 and segments[0].max_index <= index:
            names.append(name_of(segments.pop(0).number))
        return RemoveJob(self._files, names) if names else None

    def reserve(self) -> ReserveJob:
        """A job that sees to it that a spare segment is there, if the disk has room for one."""
        return ReserveJob(self._files)

    @property
    def needs_reserve(self) -> bool:
        return not self._files.has_spare or self._files.is_disk_full

    @property
    def is_spare_taken(self) -> bool:
        """The spare segment went into use, and nobody has tried to make another one yet."""
        return not self._files.has_spare and not self._files.is_disk_full

    def close(self) -> None:
        """After the last job."""
        self._files.current.close()


def _has_spare(disk: Disk, segment_bytes: int) -> bool:
    if SPARE not in disk.names():
        return False
    file = disk.open(SPARE, read_only=True)
    is_right = file.size == segment_bytes
    file.close()
    if not is_right:
        disk.remove(SPARE)  # of a version with segments of another size
    return is_right


def _cut_off(file: File, stop: int) -> None:
    """Make sure that nothing of a torn group can ever be read again. A crash in between leaves a torn group, as before."""
    payload = min(stop + record.HEADER.size, file.size)
    file.write_durable([bytes(file.size - payload)], payload)
    file.write_durable([bytes(payload - stop)], stop)


def _cursor_of(recovery: Recovery, stop: int, size: int) -> _Cursor:
    image = recovery.image
    return _Cursor(
        stop,
        size,
        recovery.next_sequence,
        image.current_term,
        image.voted_for,
        image.last_index,
        image.last_term,
        [_Segment(number, found.max_index) for number, found in recovery.scans.items()],
    )
