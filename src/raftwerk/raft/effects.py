"""What the core wants done: the only way out. Raft.step returns one Effects for its batch of events.

The shell carries them out in any order and at any speed, with one duty: persists are FIFO and atomic. Every message in
`messages` may leave at once: what had to wait for the disk was held back in the core (stable.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from raftwerk.raft.messages import InstallSnapshot, Message
from raftwerk.raft.types import Entry, Index, NodeId, Snapshot, Term


class Refusal(StrEnum):
    """Why a proposal or a read did not go through: expected in operation, so values and not exceptions."""

    NO_LEADER = "no leader"
    """Nobody is known to lead. Nothing was done."""
    NOT_LEADER = "not leader"
    """The node asked does not lead (any more). Nothing was done."""
    OVERLOADED = "too many uncommitted entries"
    """Back-pressure. Nothing was done."""
    NO_SPACE = "disk full"
    """This node's disk, or the leader's. Nothing was done."""
    OUTCOME_UNKNOWN = "outcome unknown"
    """It may have happened, or may yet happen."""

    @classmethod
    def _missing_(cls, _: object) -> "Refusal":
        """The word of a newer version: assume the worst."""
        return cls.OUTCOME_UNKNOWN


@dataclass(frozen=True, slots=True)
class Persist:
    """One atomic step of the durable log, done in this order: truncate or reset, append, and the hard state.

    ticket: numbers persists 1, 2, ... without gaps. current_term, voted_for: the hard state, always whole.
    reset_to: forget the whole log, which then starts after this snapshot. truncate_from: forget the entries at this index
    and after it (0: none). entries: append these; contiguous.
    """

    ticket: int
    current_term: Term
    voted_for: NodeId
    truncate_from: Index = 0
    reset_to: Snapshot | None = None
    entries: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class Proposed:
    """The commands of this Propose have places in the log of `term`'s leader; whether they stay, apply tells."""

    request: int
    first_index: Index
    term: Term
    count: int


@dataclass(frozen=True, slots=True)
class ReadReady:
    """The reads of this request may be answered once the state machine has applied read_index."""

    request: int
    read_index: Index


@dataclass(frozen=True, slots=True)
class Refused:
    """The Propose or Read of this request did not go through."""

    request: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class SendChunk:
    """Read the open snapshot for `to` at `offset`, and send what is there as an InstallSnapshot of `term`.

    last_included_index: of the snapshot that is meant. If that one is not open for this peer, or offset is 0: open a fresh
    one and send its first bytes. A chunk without bytes is the last (`done`).
    """

    to: NodeId
    term: Term
    last_included_index: Index
    offset: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What an operator should read, to follow an election for example: an event in words, and its facts."""

    event: str
    facts: dict[str, int | str]


@dataclass(slots=True)
class Effects:
    """One batch. All lists are in the order in which the core decided."""

    persist: Persist | None = None
    messages: list[tuple[NodeId, Message]] = field(default_factory=list)
    committed: list[Entry] = field(default_factory=list)
    """Entries to apply now: committed, durable here, next in line."""
    proposed: list[Proposed] = field(default_factory=list)
    reads: list[ReadReady] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    send_chunks: list[SendChunk] = field(default_factory=list)
    close_snapshots: list[NodeId] = field(default_factory=list)
    """Nobody will ask for more of these peers' snapshots."""
    received_chunks: list[InstallSnapshot] = field(default_factory=list)
    """Chunks to store, in order; offset 0 begins a new stream, `done` ends it (then SnapshotInstalled or -Rejected)."""
    drops_received: bool = False
    """The log has overtaken the stream that was being received: forget its chunks."""
    compact_to: Index = 0
    """The log up to this index is dropped from memory; the journal may drop it from disk. 0: nothing."""
    is_commit_untold: bool = False
    """A follower does not know the newest commit_index: post TellCommitIndex in Config.tell_commit_after_ms."""
    notices: list[Notice] = field(default_factory=list)
    has_more: bool = False
    """There is more to do at once: step again soon, with no event if there is none."""
