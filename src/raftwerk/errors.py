"""The errors of raftwerk: the type says whose fault it is, the text says what happened, where, and what to do.

    RaftwerkError
    +-- UsageError          the caller's: a wrong flag, a wrong setting, a wrong argument
    +-- PeerProtocolError   the other side's: bytes that break the peer protocol
    +-- DataDirError        the data folder cannot be used: in use, foreign, unreadable
    |   +-- CorruptData     bytes on disk that fail their checksum or contradict each other
    +-- DiskFull            no space left: refuse writes, keep what is there, try again later
    +-- DiskFailed          a write or an fsync failed: fatal for this node, never retried on the same file

An AssertionError is none of these: it is a bug of ours, and the node stops. Refusals that a client meets in ordinary
operation (no leader, too many requests) are values, not exceptions: see raft/effects.py and kv/results.py.
"""

from pathlib import Path
from typing import Final


class RaftwerkError(Exception):
    """Base of all errors that raftwerk raises on purpose."""


class UsageError(RaftwerkError):
    """The caller asked for something that cannot be: the text says what, and what is possible instead."""


class PeerProtocolError(RaftwerkError):
    """The other side of a peer connection broke the protocol; the connection ends, the node goes on."""


class DataDirError(RaftwerkError):
    """The data folder cannot be used by this node: in use, of another cluster or member, unreadable."""


REPAIR: Final = (
    "The other members, if there are any, go on without this one. Do not put back an older copy of the folder: it has "
    "forgotten what the member promised since. A cluster of full strength is made from a snapshot of theirs, or from one "
    "that was saved before ('raftwerk snapshot save', then 'raftwerk snapshot restore')"
)
"""What to do about a folder that is damaged, or lacks a part."""


class CorruptData(DataDirError):
    """Bytes on disk are damaged. The node refuses to start, or stops where it meets them, and never guesses.

    path: the damaged file; offset: byte position of the first damaged record, if it is known; reason: what is wrong there.
    finding: the two of them, without what to do.
    """

    def __init__(self, path: Path | str, offset: int | None, reason: str) -> None:
        self.path = Path(path)
        self.offset = offset
        self.reason = reason
        place = "" if offset is None else f" at byte {offset}"
        self.finding = f"damaged{place}: {reason}"
        super().__init__(
            f"{path}: {self.finding}. Nothing was changed. {REPAIR}. "
            f"'raftwerk inspect {self.path.parent}' shows what can still be read."
        )


class DiskFull(RaftwerkError):
    """There is no room for more data. Nothing was lost; the same operation may succeed later."""


class DiskFailed(RaftwerkError):
    """A write or fsync failed for a reason other than space: what the file holds is unknown, so the node must stop."""
