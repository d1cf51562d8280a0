"""Leadership transfer (thesis 3.10): the leader asks a follower to start an election at once.

A leader whose disk is full takes in no commands, while others may have room: it hands over to one of them. Should all be
full, it stays, and answers reads.
"""

from raftwerk.raft import request_vote, stable
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import TimeoutNow
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State, notice
from raftwerk.raft.types import NOBODY, NodeId


def tick(state: State, leader: Leader, elapsed_ms: int, out: Effects) -> None:
    """While there is no room here: ask the voters that could lead in turn, one in each election timeout."""
    # T3.10.4: the prior leader stops accepting new client requests (forward.py), so that what was replicated stays all
    if state.has_room:
        leader.transfer_target, leader.transfer_wait_ms = NOBODY, 0
        return
    leader.transfer_wait_ms = max(0, leader.transfer_wait_ms - elapsed_ms)
    ready = _ready(state, leader)
    # T3.10.6: a transfer that does not complete within about an election timeout is given up
    if not ready or leader.transfer_wait_ms:
        return
    target = next((peer for peer in ready if peer > leader.transfer_target), ready[0])
    if leader.transfer_target == NOBODY:  # told once: if all are full, this goes on
        notice(state, out, "no room on the disk: handing over", peer=target)
    leader.transfer_target = target
    leader.transfer_wait_ms = state.config.election_timeout_ms
    stable.send(state, target, TimeoutNow(state.current_term, state.node_id))


def _ready(state: State, leader: Leader) -> list[NodeId]:
    # Of a joint configuration those that stay: who is on the way out is not to lead
    # T3.10.5: the target's log matches the leader's, by normal replication, before it is asked
    return [
        peer
        for peer, progress in leader.progress.items()
        if peer in state.membership.voters
        and progress.is_heard(state.config)
        and progress.match_index == state.log.last_index
    ]


def receive(state: State, rpc: TimeoutNow, out: Effects) -> None:
    """Begin an election without waiting and without a pre-vote: the leader itself wants it."""
    # T3.10.3: a request that comes too late, of an older term or after the election was won, starts nothing
    if rpc.term < state.current_term or isinstance(state.role, Leader):
        return
    # Departure: who has no room for commands leaves it to others
    if state.has_room and request_vote.may_campaign(state):
        # T3.10.1: the target starts a new election at once, and its RequestVote tells that its leader asked for it
        request_vote.campaign(state, out, is_transfer=True)
