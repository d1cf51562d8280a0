"""The messages of the protocol: one final type for each RPC and for each reply, as in Figure 2 and Figure 13.

Every message carries the sender's `term`. Fields keep their meaning whatever the message's fate; a different meaning
has a different name (a pre-vote carries `next_term`, not `term`, for the term that it asks about).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from raftwerk.raft.types import Entry, Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class PreVote:
    """Would you vote for me in `next_term`? Changes nothing at the receiver (thesis 9.6)."""

    term: Term
    next_term: Term
    candidate_id: NodeId
    last_log_index: Index
    last_log_term: Term


@dataclass(frozen=True, slots=True)
class PreVoteReply:
    """`next_term` is the one asked about; `term` the replier's own."""

    term: Term
    next_term: Term
    vote_granted: bool


@dataclass(frozen=True, slots=True)
class RequestVote:
    """Invoked by candidates to gather votes (Figure 2, RequestVote RPC)."""

    term: Term
    candidate_id: NodeId
    last_log_index: Index
    last_log_term: Term
    is_transfer: bool = False
    """True when the leader itself asked for this election (thesis 3.10): stickiness does not apply."""


@dataclass(frozen=True, slots=True)
class RequestVoteReply:
    term: Term
    vote_granted: bool


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """Invoked by the leader to replicate entries; also used as heartbeat (Figure 2, AppendEntries RPC)."""

    term: Term
    leader_id: NodeId
    prev_log_index: Index
    prev_log_term: Term
    entries: Sequence[Entry]
    leader_commit: Index
    read_round: int = 0
    """The leader's newest round of leadership confirmation (thesis 6.4); the reply repeats it."""
    needs_reply: bool = True
    """False, only ever without entries: it tells leader_commit, and a follower that takes it in has nothing to say to that."""


@dataclass(frozen=True, slots=True)
class AppendEntriesReply:
    """The answer to AppendEntries.

    success: the log matched at prev_log_index. match_index: then, the highest index known to match *and durable* at the
    replier. conflict_index, conflict_term: else, where to go back to (section 5.3): the first index of the conflicting
    term and that term; term 0 when the log is shorter, and conflict_index is then its last index + 1.
    """

    term: Term
    success: bool
    match_index: Index
    conflict_index: Index = 0
    conflict_term: Term = 0
    read_round: int = 0


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """One chunk of a snapshot (Figure 13). `offset` and `data` are bytes of the state machine's stream."""

    term: Term
    leader_id: NodeId
    last_included_index: Index
    last_included_term: Term
    membership: bytes
    offset: int
    data: bytes
    done: bool


@dataclass(frozen=True, slots=True)
class InstallSnapshotReply:
    """next_offset: the byte that the replier wants next. installed: the state at last_included_index is durable there."""

    term: Term
    last_included_index: Index
    next_offset: int
    installed: bool


@dataclass(frozen=True, slots=True)
class ForwardCommands:
    """A follower hands commands of its clients to the leader. request_id is never used twice."""

    term: Term
    request_id: int
    commands: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class ForwardCommandsReply:
    """The commands stand in the leader's log at first_index, first_index + 1, ... with `term`; or `refusal` says why not.

    refusal: "" or the value of a Refusal (effects.py).
    """

    term: Term
    request_id: int
    first_index: Index
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class ReadIndex:
    """A follower asks the leader for a read index on behalf of all reads that wait there (thesis 6.4)."""

    term: Term
    request_id: int


@dataclass(frozen=True, slots=True)
class ReadIndexReply:
    term: Term
    request_id: int
    read_index: Index
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """The leader asks the receiver to start an election at once (thesis 3.10)."""

    term: Term
    leader_id: NodeId


Message: TypeAlias = (
    PreVote
    | PreVoteReply
    | RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | InstallSnapshot
    | InstallSnapshotReply
    | ForwardCommands
    | ForwardCommandsReply
    | ReadIndex
    | ReadIndexReply
    | TimeoutNow
)
