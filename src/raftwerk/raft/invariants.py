"""What must hold of one node: of its state at any time, and of each step. On in tests and simulations.

The properties of Figure 3 that concern several nodes are checked where all nodes can be seen, by the simulator.
"""

from dataclasses import dataclass

from raftwerk.raft.roles import Candidate, Follower, Leader, PreCandidate
from raftwerk.raft.state import State
from raftwerk.raft.types import NOBODY, Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class Before:
    """What a step is compared with."""

    current_term: Term
    voted_for: NodeId
    leader_id: NodeId
    commit_index: Index
    last_applied: Index
    was_leader: bool
    last_index: Index
    last_term: Term


def remember(state: State) -> Before:
    """Note what check_step needs."""
    return Before(
        state.current_term,
        state.voted_for,
        state.leader_id,
        state.commit_index,
        state.last_applied,
        isinstance(state.role, Leader),
        state.log.last_index,
        state.log.last_term,
    )


def check_state(state: State) -> None:
    """Assert what is true of a node between any two steps."""
    log, stable = state.log, state.stable
    assert log.snapshot_index <= state.last_applied
    assert state.last_applied <= state.commit_index
    assert state.last_applied <= stable.durable_index
    assert stable.durable_index <= log.last_index
    assert state.commit_index <= log.last_index
    assert log.snapshot_index <= state.checkpoint_index <= state.last_applied
    assert state.compact_index <= state.checkpoint_index
    assert log.last_term <= state.current_term
    assert stable.staged_index == log.last_index, "every step hands out what it changed"
    assert not stable.queued
    assert all(message.term == state.current_term for _, _, message in stable.held)
    if isinstance(state.role, Leader):
        _check_leader(state, state.role)
    assert isinstance(state.role, Follower) or not state.is_installing
    if isinstance(state.role, Candidate | Leader):
        assert state.voted_for == state.node_id
    if isinstance(state.role, Candidate | PreCandidate):
        assert state.leader_id == NOBODY


def _check_leader(state: State, leader: Leader) -> None:
    assert state.leader_id == state.node_id
    assert state.stable.is_vote_durable, "a leader's term and vote are durable"
    assert leader.uncommitted_bytes >= 0
    for progress in leader.progress.values():
        assert 0 <= progress.match_index < progress.next_index <= state.log.last_index + 1
        assert progress.read_round <= leader.read_round
        assert progress.told_commit_index <= state.commit_index
        assert progress.in_flight_bytes == sum(size for _, size in progress.in_flight)


def check_step(before: Before, state: State) -> None:
    """Assert what is true of any step."""
    assert state.current_term >= before.current_term
    assert state.commit_index >= before.commit_index
    assert state.last_applied >= before.last_applied
    if state.current_term == before.current_term:
        assert before.voted_for in (NOBODY, state.voted_for), "one vote in a term"
        if before.was_leader and isinstance(state.role, Leader):
            # F3.2: Leader Append-Only: during its term a leader's log only grows
            assert state.log.last_index >= before.last_index
            assert state.log.term_at(before.last_index) == before.last_term
