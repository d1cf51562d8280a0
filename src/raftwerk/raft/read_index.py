"""Linearizable reads without the log (thesis 6.4): ReadIndex, in rounds that all waiting reads share.

The leader notes its commit_index, then proves with a round of heartbeats that it still led after the read arrived. A
round's number is never reused within a term, and replies count only in the term they are of, so that an old answer can
confirm nothing new. A follower asks the leader for an index on behalf of all reads that wait there.
"""

from raftwerk.raft import quorum, remote, replicate, stable
from raftwerk.raft.effects import Effects, ReadReady, Refusal, Refused
from raftwerk.raft.messages import ReadIndex, ReadIndexReply
from raftwerk.raft.roles import Leader, ReadBatch
from raftwerk.raft.state import RemoteRequest, State
from raftwerk.raft.types import NOBODY, NodeId


def read(state: State, request: int, out: Effects) -> None:
    """A client's read, at this node."""
    if isinstance(state.role, Leader):
        state.role.waiting_reads.append(request)
    elif state.leader_id == NOBODY:
        out.refused.append(Refused(request, Refusal.NO_LEADER))
    else:
        state.remote.waiting_reads.append(request)


def receive(state: State, sender: NodeId, rpc: ReadIndex) -> None:
    """A follower asks."""
    # T6.4.5: followers too answer reads: they ask the leader for a read index, which it confirms as for its own
    if isinstance(state.role, Leader):
        state.role.waiting_remote_reads.append((sender, rpc.request_id))
    else:
        refusal = Refusal.NOT_LEADER.value
        stable.send(state, sender, ReadIndexReply(state.current_term, rpc.request_id, 0, refusal))


def on_reply(state: State, reply: ReadIndexReply, out: Effects) -> None:
    """The leader's answer."""
    asked = state.remote.reads.pop(reply.request_id, None)
    if asked is None:
        return  # given up already
    for request in asked.requests:
        if reply.refusal:
            out.refused.append(Refused(request, Refusal(reply.refusal)))
        else:
            out.reads.append(ReadReady(request, reply.read_index))


def begin_round(state: State, leader: Leader, out: Effects) -> None:
    """At the end of a leader's step: one new round for everything that waits."""
    if not (leader.waiting_reads or leader.waiting_remote_reads):
        return
    # T6.4.1: reads wait for the leader's first commit in its term: before, it may not know of all that is committed
    if state.commit_index < leader.term_start_index:
        return
    if len(leader.read_batches) >= state.config.read_rounds_max:
        return  # they share the next one
    leader.read_round += 1
    # T6.4.2: the read index is the commit_index at the beginning of the round
    leader.read_batches.append(
        ReadBatch(
            state.commit_index,
            leader.read_round,
            leader.waiting_reads,
            leader.waiting_remote_reads,
        )
    )
    leader.waiting_reads = []
    leader.waiting_remote_reads = []
    # T6.4.3: a round of heartbeats that a majority answers proves that nobody else led when the reads arrived
    for peer, progress in leader.progress.items():
        replicate.send_heartbeat(state, leader, peer, progress)
    confirm(state, leader, out)  # a single voter needs nobody


def confirm(state: State, leader: Leader, out: Effects) -> None:
    """Release the batches whose round a majority has answered."""
    if not leader.read_batches:
        return

    def read_round(node_id: NodeId) -> int:
        if node_id == state.node_id:
            return leader.read_round
        return leader.progress[node_id].read_round

    confirmed_round = quorum.majority_value(state.membership, read_round)
    while leader.read_batches and leader.read_batches[0].read_round <= confirmed_round:
        batch = leader.read_batches.pop(0)
        # T6.4.4: a read is answered when the state machine has applied the read index
        out.reads.extend(ReadReady(request, batch.read_index) for request in batch.requests)
        for follower, request_id in batch.remote_requests:
            reply = ReadIndexReply(state.current_term, request_id, batch.read_index)
            stable.send(state, follower, reply)


def ask_leader(state: State, out: Effects) -> None:
    """At the end of a follower's step: one message for all reads that wait."""
    asked = state.remote
    if not asked.waiting_reads or len(asked.reads) >= state.config.read_rounds_max:
        return
    if state.leader_id == NOBODY:
        remote.refuse_reads(state, out)
        return
    request_id = remote.take_request_id(state)
    asked.reads[request_id] = RemoteRequest(asked.waiting_reads)
    asked.waiting_reads = []
    stable.send(state, state.leader_id, ReadIndex(state.current_term, request_id))


def refuse_waiting(leader: Leader, out: Effects) -> None:
    """The leader steps down: none of its reads can be confirmed any more (its followers learn it by themselves)."""
    # P8.2: a leader that was deposed answers no read: what it knows may be stale
    for batch in leader.read_batches:
        out.refused.extend(Refused(request, Refusal.NOT_LEADER) for request in batch.requests)
    out.refused.extend(Refused(request, Refusal.NOT_LEADER) for request in leader.waiting_reads)
