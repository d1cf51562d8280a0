"""The transitions between roles (Figure 4). Each leaves a whole new role behind; nothing of the old one lingers."""

from raftwerk.raft import read_index, stable
from raftwerk.raft.effects import Effects
from raftwerk.raft.progress import Progress
from raftwerk.raft.remote import lose_leader
from raftwerk.raft.roles import Candidate, Follower, Leader, PreCandidate
from raftwerk.raft.state import State, notice
from raftwerk.raft.types import NOBODY, Entry, EntryKind, NodeId, Term


def draw_election_timeout_ms(state: State) -> int:
    """A wait from [election_timeout_ms, 2 * election_timeout_ms)."""
    # P5.2.1: each wait is drawn at random, so that split votes are rare
    minimum = state.config.election_timeout_ms
    return minimum + state.random.randrange(minimum)


def start_follower_wait(state: State) -> Follower:
    """Be a follower at the beginning of a wait for the election timeout."""
    role = Follower(draw_election_timeout_ms(state))
    state.role = role
    return role


def become_follower(state: State, term: Term, leader_id: NodeId, out: Effects) -> None:
    """Follow `leader_id` (NOBODY: not known yet) in `term`, which is not older than the current one."""
    assert term >= state.current_term
    if isinstance(state.role, Leader):
        read_index.refuse_waiting(state.role, out)
        out.close_snapshots.extend(state.role.progress)
        notice(state, out, "stepped down", new_term=term)
    if term > state.current_term:
        state.current_term = term
        state.voted_for = NOBODY
        stable.on_hard_state_changed(state, is_new_term=True)
    if leader_id != state.leader_id:
        lose_leader(state, out)
        state.leader_id = leader_id
        if leader_id != NOBODY:
            notice(state, out, "following", leader=leader_id)
    state.leader_silent_ms = 0
    start_follower_wait(state)


def become_pre_candidate(state: State, out: Effects) -> PreCandidate:
    """Ask whether an election could be won; the term stays (thesis 9.6)."""
    assert state.membership.is_voter(state.node_id)
    assert not isinstance(state.role, Leader)
    lose_leader(state, out)
    role = PreCandidate(draw_election_timeout_ms(state), votes={state.node_id: True})
    state.role = role
    notice(state, out, "asking for pre-votes", next_term=state.current_term + 1)
    return role


def become_candidate(state: State, out: Effects) -> Candidate:
    """Begin an election; request_vote.campaign asks for the votes."""
    assert state.membership.is_voter(state.node_id)
    assert not isinstance(state.role, Leader)
    lose_leader(state, out)
    # F2.CAN.1a: on conversion to candidate, start election: increment current_term
    state.current_term += 1
    # F2.CAN.1b: vote for self
    state.voted_for = state.node_id
    stable.on_hard_state_changed(state, is_new_term=True)
    # F2.CAN.1c: reset election timer
    role = Candidate(draw_election_timeout_ms(state))
    state.role = role
    notice(state, out, "became candidate")
    return role


def become_leader(state: State, out: Effects) -> Leader:
    """Lead the current term, and append the no-op entry that lets older entries be committed."""
    assert isinstance(state.role, Candidate)
    assert state.voted_for == state.node_id, "a leader won the election of its own candidacy"
    no_op = Entry(state.log.last_index + 1, state.current_term, EntryKind.NO_OP, b"")
    uncommitted = state.log.slice(state.commit_index + 1, state.log.last_index + 1)
    # F2.STA.2: next_index and match_index, reinitialized after election: the last log index + 1, and 0
    role = Leader(
        term_start_index=no_op.index,
        progress={
            node_id: Progress(next_index=no_op.index)
            for node_id in state.membership.nodes
            if node_id != state.node_id
        },
        uncommitted_bytes=sum([len(entry.command) for entry in uncommitted]),
    )
    state.role = role
    state.leader_id = state.node_id
    # P8.1: a leader begins its term with a no-op, an entry that it can commit by counting
    state.log.append([no_op])
    notice(state, out, "became leader", last_index=no_op.index)
    return role
