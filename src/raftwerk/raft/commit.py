"""commit_index and last_applied: how both move, on leaders and on followers; but for a snapshot (install_snapshot.py).

After a restart both begin where the checkpoint is (replica/recovery.py).
"""

from raftwerk.raft import quorum
from raftwerk.raft.effects import Effects
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index, NodeId


def advance(state: State, leader: Leader) -> None:
    """Let the leader's commit_index follow what a majority holds durably."""

    def match_index(node_id: NodeId) -> Index:
        # F2.STA.1c: the leader's own entries count for it once they are on stable storage
        if node_id == state.node_id:
            return state.durable_index
        return leader.progress[node_id].match_index

    majority_index = quorum.majority_value(state.membership, match_index)
    # F2.LEA.4: if there exists an N > commit_index, a majority of match_index[i] >= N, and log[N].term == current_term:
    # set commit_index = N. P5.4.2: an entry of an older term is never committed by counting (Figure 8).
    if (
        majority_index > state.commit_index
        and state.log.term_at(majority_index) == state.current_term
    ):
        newly = state.log.slice(state.commit_index + 1, majority_index + 1)
        leader.uncommitted_bytes -= sum([len(entry.command) for entry in newly])
        state.commit_index = majority_index


def learn(state: State, leader_commit: Index, last_new_index: Index) -> None:
    """Let a follower's commit_index follow the leader's, as far as the logs are known to match."""
    # F2.AE.5: if leader_commit > commit_index, set commit_index = min(leader_commit, index of last new entry)
    if leader_commit > state.commit_index:
        state.commit_index = max(state.commit_index, min(leader_commit, last_new_index))


def take_ready(state: State, out: Effects) -> None:
    """Hand out what is to be applied now. Departure: never ahead of the own disk, so that one order of indexes holds."""
    ready_index = min(state.commit_index, state.durable_index)
    # F2.ALL.1: if commit_index > last_applied: increment last_applied, apply log[last_applied] to the state machine
    if ready_index <= state.last_applied:
        return
    config = state.config
    entries, _ = state.log.batch(
        state.last_applied + 1,
        min(config.apply_entries_max, ready_index - state.last_applied),
        config.apply_bytes_max,
    )
    out.committed.extend(entries)
    state.last_applied = entries[-1].index
    out.has_more = state.last_applied < ready_index
