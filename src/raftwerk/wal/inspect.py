"""A look into a log without touching it: what is there, record by record, and what is damaged, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raftwerk.errors import CorruptData, DataDirError, DiskFailed
from raftwerk.raft.types import NodeId
from raftwerk.wal import segment
from raftwerk.wal.disk import Disk, OsDisk
from raftwerk.wal.record import Change
from raftwerk.wal.recovery import recover, scan


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """One segment. problem: "" or what is wrong, and from where on it cannot be read."""

    name: str
    size: int
    changes: list[tuple[int, int, Change]]
    """(offset, sequence, change)."""
    first_sequence: int = 0
    prev_index: int = 0
    prev_term: int = 0
    torn_bytes: int = 0
    problem: str = ""


def inspect_log(directory: Path) -> Iterator[SegmentReport]:
    """A report for each segment, oldest first. Takes no lock, changes nothing.

    What a running member removes meanwhile is left out, whatever was read of it: its space may be in use again.
    """
    disk = OsDisk(directory, read_only=True)
    names = _segments(disk)
    for name in names:
        report = _report(disk, directory, name, is_last=name == names[-1])
        if (directory / name).exists():
            yield report


def _segments(disk: Disk) -> list[str]:
    return [name for name in disk.names() if segment.number_of(name) is not None]


def _report(disk: Disk, directory: Path, name: str, *, is_last: bool) -> SegmentReport:
    number = segment.number_of(name)
    assert number is not None
    size = 0
    try:
        size = (directory / name).stat().st_size
        found = scan(disk, str(directory), number, is_last=is_last)
    except CorruptData as error:
        return SegmentReport(name, size, [], problem=error.finding)
    except (DataDirError, DiskFailed, OSError) as error:
        return SegmentReport(name, size, [], problem=str(error))
    header = found.header
    return SegmentReport(
        name,
        size,
        found.changes,
        header.first_sequence,
        header.prev_index,
        header.prev_term,
        found.torn_bytes,
    )


def find_contradiction(disk: Disk, directory: Path, cluster_id: int, node_id: NodeId) -> str:
    """What keeps segments that are whole, each by itself, from being one log of this member; "" if nothing does.

    disk: that of the directory. Nothing is said of a log of which a running member makes or removes segments meanwhile.
    """
    before = _segments(disk)
    try:
        recover(disk, str(directory), cluster_id, node_id)
    except (DataDirError, FileNotFoundError) as error:
        return str(error) if _segments(disk) == before else ""
    return ""
