"""The box "AppendEntries RPC" of Figure 2: the receiver, and the leader's handling of the reply."""

from typing import Final

from raftwerk.raft import commit, read_index, reconfigure, stable
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply
from raftwerk.raft.progress import Mode
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State, notice
from raftwerk.raft.transitions import become_follower
from raftwerk.raft.types import Index, NodeId, Term

SHORT_LOGS_TOLD: Final = 10
"""Refusals in a row, of heartbeats most often: a second of them."""


def receive(state: State, sender: NodeId, rpc: AppendEntries, out: Effects) -> None:
    """Figure 2, AppendEntries, receiver implementation."""
    # F2.AE.1: reply false if term < current_term (5.1)
    if rpc.term < state.current_term:
        stable.send(state, sender, AppendEntriesReply(state.current_term, False, 0))
        return
    assert rpc.term == state.current_term
    assert not isinstance(state.role, Leader), "Election Safety: two leaders in one term"
    # F2.CAN.3: if AppendEntries RPC received from new leader: convert to follower. F2.FOL.2a: AppendEntries from the
    # current leader starts the wait for the election timeout anew
    become_follower(state, rpc.term, rpc.leader_id, out)
    if state.is_installing:
        # The state machine is being replaced: only the leadership is acknowledged
        _reply_match(state, sender, rpc, min(rpc.prev_log_index, state.commit_index))
        return

    skipped = max(0, min(state.log.snapshot_index - rpc.prev_log_index, len(rpc.entries)))
    prev_log_index = rpc.prev_log_index + skipped
    if prev_log_index < state.log.snapshot_index:
        # All of it is under our snapshot, so committed: it matches
        _reply_match(state, sender, rpc, prev_log_index)
        return
    prev_log_term = rpc.entries[skipped - 1].term if skipped else rpc.prev_log_term
    # F2.AE.2: reply false if log does not contain an entry at prev_log_index whose term matches prev_log_term (5.3)
    if not state.log.matches(prev_log_index, prev_log_term):
        _reply_conflict(state, sender, rpc, prev_log_index)
        return

    has_appended = _append_new(state, rpc, skipped, out)
    last_new_index = rpc.prev_log_index + len(rpc.entries)
    commit.learn(state, rpc.leader_commit, last_new_index)
    if has_appended:
        reply = AppendEntriesReply(
            state.current_term, True, last_new_index, read_round=rpc.read_round
        )
        stable.send(state, sender, reply, vouches_for=last_new_index)
    elif (
        rpc.needs_reply
    ):  # Departure: who is only told leader_commit, and matches, has nothing to answer (record 15)
        _reply_match(state, sender, rpc, last_new_index)


def _append_new(state: State, rpc: AppendEntries, skipped: int, out: Effects) -> bool:
    """Receiver rules 3 and 4, in one pass over the entries that are not under the snapshot."""
    entries = rpc.entries[skipped:] if skipped else rpc.entries
    for position, entry in enumerate(entries):
        # P5.5.1: RPCs are idempotent: entries already in the log are ignored, and nothing after them is deleted
        if state.log.matches(entry.index, entry.term):
            continue
        # F2.AE.3: if an existing entry conflicts with a new one (same index but different terms), delete the existing
        # entry and all that follow it (5.3)
        if entry.index <= state.log.last_index:
            assert entry.index > state.commit_index, (
                "a committed entry never conflicts (State Machine Safety)"
            )
            state.log.truncate_from(entry.index)
            stable.on_truncated(state, entry.index)
            reconfigure.roll_back(state, entry.index, out)
        # F2.AE.4: append any new entries not already in the log
        new = entries[position:]
        state.log.append(new)
        reconfigure.adopt(state, new, out)
        return True
    return False


def _reply_match(state: State, sender: NodeId, rpc: AppendEntries, match_index: Index) -> None:
    """At once: leadership is acknowledged, and of the match, what is durable already."""
    durable_match = min(match_index, state.durable_index)
    reply = AppendEntriesReply(state.current_term, True, durable_match, read_round=rpc.read_round)
    stable.send(state, sender, reply)


def _reply_conflict(
    state: State, sender: NodeId, rpc: AppendEntries, prev_log_index: Index
) -> None:
    """Where to go back to, a whole term at a time."""
    conflict_index: Index = state.log.last_index + 1
    conflict_term: Term = 0
    # P5.3.1: a refusal names the conflicting term and where it begins here, so that the leader can pass over it whole
    if prev_log_index <= state.log.last_index:
        conflict_term = state.log.term_at(prev_log_index)
        conflict_index = state.log.first_index_of_term_at(prev_log_index)
    reply = AppendEntriesReply(
        state.current_term, False, 0, conflict_index, conflict_term, read_round=rpc.read_round
    )
    stable.send(state, sender, reply)


def on_reply(state: State, sender: NodeId, reply: AppendEntriesReply, out: Effects) -> None:
    """The leader learns what a follower holds, or where to go back to."""
    leader = state.role
    if not isinstance(leader, Leader) or reply.term < state.current_term:
        return  # of an older leadership: says nothing about this one
    progress = leader.progress.get(sender)
    if progress is None:
        return  # no longer a member
    progress.silent_ms = 0
    if reply.read_round > progress.read_round:
        progress.read_round = reply.read_round
        read_index.confirm(state, leader, out)
    if reply.success:
        _on_match(state, leader, sender, reply.match_index, out)
    elif reply.conflict_term or reply.conflict_index > progress.match_index:
        # A conflicting term may well begin within the match, but no log ends there
        _on_conflict(state, leader, sender, reply)
    else:
        _on_short_log(state, leader, sender, reply, out)


def _on_match(
    state: State, leader: Leader, sender: NodeId, match_index: Index, out: Effects
) -> None:
    progress = leader.progress[sender]
    progress.short_logs = 0
    # F2.LEA.3a: if successful: update next_index and match_index for follower (5.3)
    is_news = progress.on_match(min(match_index, state.log.last_index))
    if progress.mode is Mode.PROBE:
        if progress.match_index + 1 >= progress.next_index:
            progress.become_replicate()
        elif is_news:
            progress.is_waiting = False
    elif progress.mode is Mode.SNAPSHOT and progress.match_index >= state.log.snapshot_index:
        out.close_snapshots.append(sender)  # it got there another way
        progress.become_replicate()


def _on_short_log(
    state: State, leader: Leader, sender: NodeId, reply: AppendEntriesReply, out: Effects
) -> None:
    """One such refusal was overtaken. If nothing else comes, the follower has lost what it acknowledged as durable.

    That is outside of what Raft can repair: a majority may have counted on those entries. It gets nothing more.
    """
    progress = leader.progress[sender]
    progress.short_logs += 1
    if progress.short_logs == SHORT_LOGS_TOLD:
        notice(
            state,
            out,
            "follower has lost entries that it had acknowledged",
            peer=sender,
            last_index=reply.conflict_index - 1,
            acknowledged=progress.match_index,
            remedy="start it with the data folder that it had last",
        )


def _on_conflict(state: State, leader: Leader, sender: NodeId, reply: AppendEntriesReply) -> None:
    progress = leader.progress[sender]
    if progress.mode is Mode.SNAPSHOT or reply.conflict_index > progress.next_index:
        return  # an answer that was overtaken
    # F2.LEA.3b: if AppendEntries fails because of log inconsistency: decrement next_index and retry (5.3)
    next_index = reply.conflict_index
    # P5.3.2: the leader goes back past a conflicting term at once: a repair takes a round trip for each term, not for each
    # entry
    if reply.conflict_term:
        shared = state.log.last_index_of_term(reply.conflict_term, progress.next_index - 1)
        has_term = state.log.matches(shared, reply.conflict_term)
        next_index = shared + 1 if has_term else min(next_index, shared + 1)
    progress.become_probe(max(1, min(next_index, progress.next_index)))
