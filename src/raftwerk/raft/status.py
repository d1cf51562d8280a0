"""A view of the core for people, metrics and the API: copied values, so that nobody holds on to live state."""

from dataclasses import dataclass

from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What a leader knows of one follower."""

    mode: str
    match_index: Index
    next_index: Index
    silent_ms: int


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """role: follower, pre-candidate, candidate or leader. leader_id: 0 when nobody is known to lead."""

    node_id: NodeId
    role: str
    current_term: Term
    voted_for: NodeId
    leader_id: NodeId
    snapshot_index: Index
    last_applied: Index
    commit_index: Index
    durable_index: Index
    last_index: Index
    peers: dict[NodeId, PeerStatus]
    """On a leader; empty elsewhere."""


ROLE_NAMES = {
    "Follower": "follower",
    "PreCandidate": "pre-candidate",
    "Candidate": "candidate",
    "Leader": "leader",
}


def of(state: State) -> RaftStatus:
    """The present status."""
    role = state.role
    peers = role.progress if isinstance(role, Leader) else {}
    return RaftStatus(
        node_id=state.node_id,
        role=ROLE_NAMES[type(role).__name__],
        current_term=state.current_term,
        voted_for=state.voted_for,
        leader_id=state.leader_id,
        snapshot_index=state.log.snapshot_index,
        last_applied=state.last_applied,
        commit_index=state.commit_index,
        durable_index=state.durable_index,
        last_index=state.log.last_index,
        peers={
            node_id: PeerStatus(
                progress.mode.value,
                progress.match_index,
                progress.next_index,
                progress.silent_ms,
            )
            for node_id, progress in peers.items()
        },
    )
