"""What can happen to the core: the only way in. A batch of these goes to Raft.step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from raftwerk.raft.messages import Message
from raftwerk.raft.types import Index, NodeId


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by. The core has no other clock."""

    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message arrived."""

    sender: NodeId
    message: Message


@dataclass(frozen=True, slots=True)
class Persisted:
    """The Persist effect with this ticket, and all before it, are on stable storage."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Propose:
    """Replicate these commands. Answered by exactly one Proposed or Refused effect with the same request number.

    request: chosen by the shell, not reused while it waits.
    """

    request: int
    commands: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Read:
    """Find an index such that a state machine that applied it may answer reads that started before this event.

    Answered by exactly one ReadReady or Refused effect with the same request number.
    """

    request: int


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The connection to a peer was made (again): what was in flight on an older one is lost."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The peer's kernel closed its connection: its process is most likely dead. Not said for mere silence."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The state machine's state up to `index` is durable: the log before it may be compacted."""

    index: Index


@dataclass(frozen=True, slots=True)
class SnapshotInstalled:
    """The snapshot handed over by InstallReceived chunks is now the state machine's durable state."""

    last_included_index: Index


@dataclass(frozen=True, slots=True)
class SnapshotRejected:
    """The received stream was damaged, or could not be written: forget it, the leader will send it again."""

    last_included_index: Index
    reason: str = ""
    """For the operator."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Whether this node's disk has room for new commands. What was accepted before still fits. It has, at the start."""

    has_room: bool


@dataclass(frozen=True, slots=True)
class TellCommitIndex:
    """No entries took the newest commit_index along (Effects.is_commit_untold): tell it now, to who does not know it."""


Event: TypeAlias = (
    Tick
    | Received
    | Persisted
    | Propose
    | Read
    | LinkOpened
    | LinkClosed
    | Checkpointed
    | SnapshotInstalled
    | SnapshotRejected
    | DiskSpace
    | TellCommitIndex
)
