"""The box "State" of Figure 2: what a node knows.

On all nodes, persistent: current_term, voted_for, log. On all nodes, volatile: commit_index, last_applied, and here also
who leads. On leaders, volatile: in the role itself (roles.Leader), so that it is gone when the role is.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Notice
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import Message
from raftwerk.raft.roles import Follower, Role
from raftwerk.raft.types import NOBODY, Index, NodeId, Snapshot, Term


@dataclass(slots=True)
class Stable:
    """What stable storage holds, and what waits for it. Mutated by stable.py alone."""

    durable_index: Index
    """Entries up to here are on stable storage as they stand in the log."""
    staged_index: Index
    """Entries up to here were handed out in a Persist as they stand in the log."""
    next_ticket: int = 1
    persisted_ticket: int = 0
    hard_state_ticket: int = 0
    """The Persist that carries the present (current_term, voted_for)."""
    in_flight: deque[tuple[int, Index]] = field(default_factory=deque)
    """(ticket, last index) of Persists with entries that are not answered yet."""
    held: list[tuple[int, NodeId, Message]] = field(default_factory=list)
    """(ticket to wait for, receiver, message), all of the current term."""

    # Changes of the step that is going on
    is_hard_state_changed: bool = False
    truncate_from: Index = 0
    reset_to: Snapshot | None = None
    queued: list[tuple[Index, NodeId, Message]] = field(default_factory=list)
    """(index vouched for or 0, receiver, message)."""

    @property
    def is_vote_durable(self) -> bool:
        """Whether the present (current_term, voted_for) is on stable storage."""
        return not self.is_hard_state_changed and self.hard_state_ticket <= self.persisted_ticket


@dataclass(slots=True)
class Incoming:
    """A snapshot being received (Figure 13). The leader that sends it and the index name it."""

    leader_id: NodeId
    term: Term
    last_included_index: Index
    last_included_term: Term
    membership: bytes
    next_offset: int = 0
    is_complete: bool = False
    """All chunks are here; the state machine is installing them."""


REQUEST_BITS: Final = 32


@dataclass(slots=True)
class RemoteRequest:
    """requests: request numbers of the shell that wait for this answer; count: commands forwarded."""

    requests: list[int]
    count: int = 0
    age_ms: int = 0


@dataclass(slots=True)
class Remote:
    """What this follower asked of the leader and has not been answered yet, by request id (remote.py).

    Request ids are a random number for this life of the node, and a count in the lower REQUEST_BITS: an answer to an earlier
    life fits nothing, and the leader can tell what is repeated from what is new.
    """

    next_request_id: int
    forwards: dict[int, RemoteRequest] = field(default_factory=dict)
    reads: dict[int, RemoteRequest] = field(default_factory=dict)
    waiting_reads: list[int] = field(default_factory=list)
    """Requests of reads to be asked about in the next message."""


@dataclass(slots=True)
class State:
    """Everything that Raft.step may change. Index order: snapshot_index <= last_applied <= min(commit_index,
    durable_index) <= last_index, where snapshot_index and last_index are the log's."""

    node_id: NodeId
    config: Config
    random: Random

    # Persistent state on all nodes (made durable before anything that depends on it leaves: stable.py)
    current_term: Term
    voted_for: NodeId
    log: Log

    # Volatile state on all nodes
    commit_index: Index
    last_applied: Index
    memberships: list[tuple[Index, Membership]]
    """Those in the log and the one before it, with the index of each; the last is in force (thesis 4.1)."""
    stable: Stable
    remote: Remote
    role: Role = field(default_factory=Follower)
    leader_id: NodeId = NOBODY
    leader_silent_ms: int = 0
    """Since the last message from the leader of current_term; meaningless while leader_id is NOBODY."""
    checkpoint_index: Index = 0
    """The state machine's state up to here is durable."""
    compact_index: Index = 0
    """The log up to here is not needed any more; it goes some entries in each step (compaction.py)."""
    incoming: Incoming | None = None
    has_room: bool = True
    """On this node's disk, for new commands."""

    @property
    def membership(self) -> Membership:
        """The newest in the log, committed or not (thesis 4.1)."""
        return self.memberships[-1][1]

    @property
    def durable_index(self) -> Index:
        return self.stable.durable_index

    @property
    def is_installing(self) -> bool:
        """Whether the state machine is being replaced by a snapshot: until then nothing is appended, and nobody led."""
        return self.incoming is not None and self.incoming.is_complete


def notice(state: State, out: Effects, event: str, **facts: int | str) -> None:
    """Tell the operator."""
    out.notices.append(Notice(event, {"term": state.current_term, **facts}))
