"""The box "RequestVote RPC" of Figure 2, and the pre-vote before it (thesis 9.6): both ends."""

from raftwerk.raft import quorum, replicate, stable
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import PreVote, PreVoteReply, RequestVote, RequestVoteReply
from raftwerk.raft.roles import Candidate, Leader, PreCandidate
from raftwerk.raft.state import State, notice
from raftwerk.raft.transitions import (
    become_candidate,
    become_leader,
    become_pre_candidate,
    start_follower_wait,
)
from raftwerk.raft.types import NOBODY, Index, NodeId, Term


def is_up_to_date(
    last_log_index: Index, last_log_term: Term, own_last_index: Index, own_last_term: Term
) -> bool:
    """Whether a candidate's log is at least as up-to-date as the own: the later last term, then the longer.

    >>> is_up_to_date(1, 3, 9, 2), is_up_to_date(8, 2, 9, 2)
    (True, False)
    """
    # P5.4.1: the later last term is more up-to-date; of the same term, the longer log
    return (last_log_term, last_log_index) >= (own_last_term, own_last_index)


def hears_leader(state: State) -> bool:
    """Whether a leader of the current term was heard within the minimum election timeout, or is this node itself."""
    if isinstance(state.role, Leader):
        return True  # check-quorum makes it step down when it is no longer true
    # T4.2.3a: a server hears a current leader until the minimum election timeout went by without a message from it
    return state.leader_id != NOBODY and state.leader_silent_ms < state.config.election_timeout_ms


def may_campaign(state: State) -> bool:
    """Whether this node may lead: not while its state machine is being replaced, for it could apply nothing."""
    return state.membership.is_voter(state.node_id) and not state.is_installing


def pre_campaign(state: State, out: Effects) -> None:
    """Ask whether an election could be won, without disturbing anybody."""
    become_pre_candidate(state, out)
    if quorum.has_majority(state.membership, {state.node_id}):
        campaign(state, out)
        return
    # T9.6.1: the term moves only after a majority has said that it would vote
    _ask(
        state,
        PreVote(
            term=state.current_term,
            next_term=state.current_term + 1,
            candidate_id=state.node_id,
            last_log_index=state.log.last_index,
            last_log_term=state.log.last_term,
        ),
    )


def campaign(state: State, out: Effects, *, is_transfer: bool = False) -> None:
    """Start an election. The own vote counts when it is durable: count_own_vote."""
    become_candidate(state, out)
    # F2.CAN.1d: send RequestVote RPCs to all other servers (held back until the own vote is durable, stable.py)
    _ask(
        state,
        RequestVote(
            term=state.current_term,
            candidate_id=state.node_id,
            last_log_index=state.log.last_index,
            last_log_term=state.log.last_term,
            is_transfer=is_transfer,
        ),
    )


def _ask(state: State, message: PreVote | RequestVote) -> None:
    for node_id in state.membership.nodes:
        if node_id != state.node_id and state.membership.is_voter(node_id):
            stable.send(state, node_id, message)


def receive_pre_vote(state: State, sender: NodeId, rpc: PreVote) -> None:
    """Would we vote for the sender in next_term? Changes nothing here."""
    # T9.6.2: grant if next_term is new, the log is at least as up-to-date, and no leader was heard lately
    vote_granted = (
        rpc.next_term > state.current_term
        and not hears_leader(state)
        and is_up_to_date(
            rpc.last_log_index, rpc.last_log_term, state.log.last_index, state.log.last_term
        )
    )
    stable.send(state, sender, PreVoteReply(state.current_term, rpc.next_term, vote_granted))


def receive(state: State, sender: NodeId, rpc: RequestVote, out: Effects) -> None:
    """Figure 2, RequestVote, receiver implementation."""
    # F2.RV.1: reply false if term < current_term (5.1)
    if rpc.term < state.current_term:
        stable.send(state, sender, RequestVoteReply(state.current_term, False))
        return
    if rpc.term > state.current_term:
        # T4.2.3c: a server that hears a current leader neither updates its term nor grants its vote. It is silent: a reply in
        # its own, older term would tell the candidate nothing
        assert hears_leader(state)
        assert not rpc.is_transfer
        return
    # F2.RV.2: if voted_for is null or candidate_id, and candidate's log is at least as up-to-date as receiver's log, grant
    # vote (5.2, 5.4)
    vote_granted = state.voted_for in (NOBODY, rpc.candidate_id) and is_up_to_date(
        rpc.last_log_index, rpc.last_log_term, state.log.last_index, state.log.last_term
    )
    if vote_granted and state.voted_for == NOBODY:
        state.voted_for = rpc.candidate_id
        stable.on_hard_state_changed(state, is_new_term=False)
        # F2.FOL.2b: granting a vote to a candidate starts the wait for the election timeout anew
        start_follower_wait(state)
        notice(state, out, "voted", candidate=rpc.candidate_id)
    stable.send(state, sender, RequestVoteReply(state.current_term, vote_granted))


def on_pre_vote_reply(state: State, sender: NodeId, reply: PreVoteReply, out: Effects) -> None:
    """Count a pre-vote, if it is for the election that is being considered."""
    role = state.role
    if not isinstance(role, PreCandidate) or reply.next_term != state.current_term + 1:
        return
    role.votes[sender] = reply.vote_granted
    # T9.6.3: with a majority of pre-votes, the real election starts
    if quorum.has_majority(state.membership, _granted(role)):
        campaign(state, out)
    elif quorum.is_lost(state.membership, _refused(role)):
        start_follower_wait(state)


def on_reply(state: State, sender: NodeId, reply: RequestVoteReply, out: Effects) -> None:
    """Count a vote, if it was given in the term of this candidacy."""
    role = state.role
    # P5.2.2: only votes of the present term count: a majority must agree in one term
    if not isinstance(role, Candidate) or reply.term != state.current_term:
        return
    role.votes[sender] = reply.vote_granted
    _lead_if_elected(state, role, out)


def count_own_vote(state: State, out: Effects) -> None:
    """The vote for oneself counts once it is on stable storage."""
    role = state.role
    # F2.STA.1d: a candidate's vote for itself counts once it is on stable storage
    if (
        isinstance(role, Candidate)
        and state.stable.is_vote_durable
        and state.node_id not in role.votes
    ):
        assert state.voted_for == state.node_id
        role.votes[state.node_id] = True
        _lead_if_elected(state, role, out)


def _lead_if_elected(state: State, role: Candidate, out: Effects) -> None:
    # F2.CAN.2: if votes received from majority of servers: become leader
    if quorum.has_majority(state.membership, _granted(role)):
        leader = become_leader(state, out)
        # F2.LEA.1a: upon election: send initial empty AppendEntries RPCs to each server
        replicate.heartbeat(state, leader)


def _granted(role: PreCandidate | Candidate) -> set[NodeId]:
    return {voter for voter, vote_granted in role.votes.items() if vote_granted}


def _refused(role: PreCandidate | Candidate) -> set[NodeId]:
    return {voter for voter, vote_granted in role.votes.items() if not vote_granted}
