"""Leadership transfer, the receiving side (thesis 3.10): the leader asks a follower to start an election at once."""

from raftwerk.raft import request_vote
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import TimeoutNow
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State


def receive(state: State, rpc: TimeoutNow, out: Effects) -> None:
    """Begin an election without waiting and without a pre-vote: the leader itself wants it."""
    # T3.10.3: a request that comes too late, of an older term or after the election was won, starts nothing
    if rpc.term < state.current_term or isinstance(state.role, Leader):
        return
    if request_vote.may_campaign(state):
        # T3.10.1: the target starts a new election at once, and its RequestVote tells that its leader asked for it
        request_vote.campaign(state, out, is_transfer=True)
