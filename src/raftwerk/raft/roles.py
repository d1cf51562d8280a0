"""The roles of Figure 4 as data: a union, so that leader state does not exist on a follower.

    Follower --timeout--> PreCandidate --majority would vote--> Candidate --majority voted--> Leader
       ^                      |                                    |                            |
       +----------------------+--- a leader or a higher term ------+----------------------------+

PreCandidate is the paper's Follower asking whether an election could be won (thesis 9.6); its term is unchanged.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from raftwerk.raft.progress import Progress
from raftwerk.raft.types import NOBODY, Index, NodeId


@dataclass(slots=True)
class Follower:
    election_timeout_ms: int = 0
    """Drawn anew at each start of the wait; 0 means not drawn yet."""
    elapsed_ms: int = 0
    """Since this wait began: the leader was heard, a vote was granted, or the role was taken."""


@dataclass(slots=True)
class PreCandidate:
    election_timeout_ms: int
    elapsed_ms: int = 0
    votes: dict[NodeId, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Candidate:
    election_timeout_ms: int
    elapsed_ms: int = 0
    votes: dict[NodeId, bool] = field(default_factory=dict)
    """The own vote is here only once it is durable."""


@dataclass(slots=True)
class ReadBatch:
    """Reads that share a round of leadership confirmation (thesis 6.4)."""

    read_index: Index
    read_round: int
    requests: list[int]
    """Of this node's own shell."""
    remote_requests: list[tuple[NodeId, int]]
    """(follower, its request id)."""


@dataclass(slots=True)
class Leader:
    """Volatile state on leaders, reinitialized after election: by being made anew."""

    term_start_index: Index
    """Of the no-op entry that began this term."""
    progress: dict[NodeId, Progress]
    """Of every other node, in order of node id."""
    heartbeat_elapsed_ms: int = 0
    uncommitted_bytes: int = 0
    read_round: int = 0
    """The newest round that was begun."""
    read_batches: list[ReadBatch] = field(default_factory=list)
    """Rounds in flight, oldest first."""
    waiting_reads: list[int] = field(default_factory=list)
    waiting_remote_reads: list[tuple[NodeId, int]] = field(default_factory=list)
    transfer_target: NodeId = NOBODY
    """Asked last to take over, since there is no room on this node's disk."""
    transfer_wait_ms: int = 0
    """Until another one is asked."""
    forwarded: dict[tuple[NodeId, int], int] = field(default_factory=dict)
    """The last request id taken in from each (follower, life of it), see forward.py."""


Role: TypeAlias = Follower | PreCandidate | Candidate | Leader
