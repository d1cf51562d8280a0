"""Figure 13, the InstallSnapshot RPC: both ends. The core knows offsets and metadata; the bytes pass through.

The state machine's checkpoint is the snapshot. Chunks go one at a time, each asked for by the receiver's answer to the
one before (or by a timer), so that a broken stream resumes where it broke.
"""

from raftwerk.raft import reconfigure, stable
from raftwerk.raft.effects import Effects, SendChunk
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import InstallSnapshot, InstallSnapshotReply
from raftwerk.raft.progress import Mode, Progress
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import Incoming, State, notice
from raftwerk.raft.transitions import become_follower
from raftwerk.raft.types import Index, NodeId, Snapshot


def receive(state: State, sender: NodeId, rpc: InstallSnapshot, out: Effects) -> None:
    """Figure 13, receiver implementation, rules 1 to 4; `install` does the others when the state machine is done."""
    # F2.IS.1: reply immediately if term < current_term
    if rpc.term < state.current_term:
        _reply(state, sender, rpc.last_included_index, 0)
        return
    assert not isinstance(state.role, Leader), "Election Safety: two leaders in one term"
    become_follower(state, rpc.term, rpc.leader_id, out)
    if rpc.last_included_index <= state.commit_index:
        _reply(
            state, sender, rpc.last_included_index, 0, installed=True
        )  # we have all that already
        return
    if state.is_installing:
        return  # the answer follows
    incoming = state.incoming
    # F2.IS.2: create new snapshot file if first chunk (offset is 0): also when one is half there, which the leader's
    # stream, opened anew, may not continue
    if rpc.offset and not _continues(incoming, rpc):
        _reply(state, sender, rpc.last_included_index, 0)
        return
    if not rpc.offset:
        incoming = Incoming(
            rpc.leader_id,
            rpc.term,
            rpc.last_included_index,
            rpc.last_included_term,
            rpc.membership,
        )
        state.incoming = incoming
        notice(state, out, "receiving snapshot", last_included_index=rpc.last_included_index)
    assert incoming is not None
    # F2.IS.3: write data into snapshot file at given offset
    if rpc.offset == incoming.next_offset:
        incoming.next_offset += len(rpc.data)
        incoming.is_complete = rpc.done
        out.received_chunks.append(rpc)
    # F2.IS.4: reply and wait for more data chunks if done is false
    if not incoming.is_complete:
        _reply(state, sender, rpc.last_included_index, incoming.next_offset)


def _continues(incoming: Incoming | None, rpc: InstallSnapshot) -> bool:
    return incoming is not None and (
        (
            incoming.leader_id,
            incoming.term,
            incoming.last_included_index,
            incoming.last_included_term,
        )
        == (rpc.leader_id, rpc.term, rpc.last_included_index, rpc.last_included_term)
    )


def drop_overtaken(state: State, out: Effects) -> None:
    """At the end of a step: a stream that is half here is of no use when the log has got as far."""
    incoming = state.incoming
    if (
        incoming is not None
        and not incoming.is_complete
        and incoming.last_included_index <= state.commit_index
    ):
        state.incoming = None
        out.drops_received = True


def install(state: State, last_included_index: Index, out: Effects) -> None:
    """The state machine now holds the snapshot, durably. Figure 13, receiver rules 5 to 8."""
    incoming = state.incoming
    assert incoming is not None
    assert incoming.last_included_index == last_included_index
    assert last_included_index > state.last_applied, "the shell must not go back in time"
    state.incoming = None
    # F2.IS.5: save snapshot file, discard any existing or partial snapshot with a smaller index
    state.checkpoint_index = last_included_index
    membership = Membership.decode(incoming.membership)
    # F2.IS.6: if existing log entry has same index and term as snapshot's last included entry, retain log entries
    # following it and reply
    if state.log.matches(last_included_index, incoming.last_included_term):
        state.log.compact_to(last_included_index)
        reconfigure.on_compacted(state, last_included_index)
        stable.on_compacted(state, last_included_index)
    else:
        # F2.IS.7: discard the entire log
        state.log.reset(last_included_index, incoming.last_included_term)
        snapshot = Snapshot(last_included_index, incoming.last_included_term, incoming.membership)
        stable.on_reset(state, snapshot)
        reconfigure.reset(state, last_included_index, membership, out)
    out.compact_to = last_included_index
    # F2.IS.8: reset state machine using snapshot contents (done by the shell before this event)
    state.commit_index = max(state.commit_index, last_included_index)
    state.last_applied = last_included_index
    notice(state, out, "installed snapshot", last_included_index=last_included_index)
    _reply(state, incoming.leader_id, last_included_index, 0, installed=True)


def reject(state: State, last_included_index: Index, reason: str, out: Effects) -> None:
    """The shell could not install it: ask for it again from the beginning."""
    incoming = state.incoming
    if incoming is not None and incoming.last_included_index == last_included_index:
        state.incoming = None
        notice(
            state, out, "snapshot rejected", last_included_index=last_included_index, reason=reason
        )
        _reply(state, incoming.leader_id, last_included_index, 0)


def _reply(
    state: State,
    to: NodeId,
    last_included_index: Index,
    next_offset: int,
    *,
    installed: bool = False,
) -> None:
    reply = InstallSnapshotReply(state.current_term, last_included_index, next_offset, installed)
    stable.send(state, to, reply, vouches_for=last_included_index if installed else 0)


def on_reply(state: State, sender: NodeId, reply: InstallSnapshotReply, out: Effects) -> None:
    """The leader learns which byte the follower wants next, or that it has the whole snapshot."""
    leader = state.role
    if not isinstance(leader, Leader) or reply.term < state.current_term:
        return
    progress = leader.progress.get(sender)
    if progress is None:
        return
    progress.silent_ms = 0
    if progress.mode is not Mode.SNAPSHOT:
        return
    if reply.installed:
        out.close_snapshots.append(sender)
        progress.on_match(min(reply.last_included_index, state.log.last_index))
        progress.become_probe(progress.match_index + 1)
        return
    asked = (reply.last_included_index, reply.next_offset)
    if not reply.next_offset:
        _on_refused(sender, progress, out)
    elif asked != (progress.snapshot_index, progress.snapshot_offset):
        progress.snapshot_index, progress.snapshot_offset = asked
        send_chunk(state, sender, progress, out)


def _on_refused(peer: NodeId, progress: Progress, out: Effects) -> None:
    """The follower begins again, or could not take it: then it would refuse it again at once, so it goes anew with the timer."""
    if not progress.is_refusing:
        progress.on_refused()
        out.close_snapshots.append(peer)


def send_chunk(state: State, peer: NodeId, progress: Progress, out: Effects) -> None:
    """Send the bytes that this follower asked for last (again)."""
    # P7.3: the leader always sends chunks in order; each goes until the follower asks for the next
    progress.snapshot_silent_ms = 0
    progress.is_refusing = False
    out.send_chunks.append(
        SendChunk(peer, state.current_term, progress.snapshot_index, progress.snapshot_offset)
    )


def tick(state: State, peer: NodeId, progress: Progress, elapsed_ms: int, out: Effects) -> None:
    """Send a chunk again that was not answered for an election timeout; to who is silent, when it is heard again.

    Until then its stream is closed: an open one keeps the state machine from reusing its space. So is that of who refused.
    """
    timeout_ms = progress.snapshot_timeout_ms(state.config)
    was_due = progress.snapshot_silent_ms >= timeout_ms
    progress.snapshot_silent_ms += elapsed_ms
    if progress.snapshot_silent_ms < timeout_ms:
        return
    if progress.is_heard(state.config):
        send_chunk(state, peer, progress, out)
    elif not was_due:
        progress.snapshot_index = progress.snapshot_offset = 0
        out.close_snapshots.append(peer)
