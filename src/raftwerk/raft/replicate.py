"""The sending side of AppendEntries: what each follower is sent, and when (Figure 2, "Leaders"; thesis 10.2)."""

from raftwerk.raft import stable
from raftwerk.raft.effects import Effects, SendChunk
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.progress import Mode, Progress
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State, notice
from raftwerk.raft.types import Entry, NodeId


def broadcast(state: State, leader: Leader, out: Effects) -> None:
    """At the end of a leader's step: new entries to everybody who may have them.

    They take a new commit_index along. Who gets none is told it when a client there waits for it, else it waits for
    entries a while (tell_commit_index): a busy leader tells it for nothing.
    """
    may_wait = bool(state.config.tell_commit_after_ms)
    for peer, progress in leader.progress.items():
        send_entries(state, peer, progress, out)
        if not _is_commit_untold(state, progress):
            continue
        if may_wait and progress.awaited_index <= progress.told_commit_index:
            out.is_commit_untold = True
        else:
            _send_empty(state, peer, progress, leader.read_round, needs_reply=False)


def tell_commit_index(state: State, leader: Leader) -> None:
    """No entries came that could have taken it along, before this step."""
    for peer, progress in leader.progress.items():
        if _is_commit_untold(state, progress):
            _send_empty(state, peer, progress, leader.read_round, needs_reply=False)


def _is_commit_untold(state: State, progress: Progress) -> bool:
    return progress.mode is Mode.REPLICATE and progress.told_commit_index != state.commit_index


def heartbeat(state: State, leader: Leader) -> None:
    """To everybody: keep the leadership, and find out what was lost on the way."""
    # F2.LEA.1: a heartbeat is an empty AppendEntries RPC to each server
    leader.heartbeat_elapsed_ms = 0
    for peer, progress in leader.progress.items():
        progress.is_waiting = False
        send_heartbeat(state, leader, peer, progress)


def send_heartbeat(state: State, leader: Leader, peer: NodeId, progress: Progress) -> None:
    """One empty AppendEntries. It carries the newest read round, and is answered without waiting for a disk."""
    _send_empty(state, peer, progress, leader.read_round, needs_reply=True)


def _send_empty(
    state: State, peer: NodeId, progress: Progress, read_round: int, *, needs_reply: bool
) -> None:
    # Where the next entry goes, or the oldest place that the log still knows
    prev_log_index = max(progress.next_index - 1, state.log.snapshot_index)
    _send(state, peer, progress, prev_log_index, [], read_round, needs_reply=needs_reply)


def send_entries(state: State, peer: NodeId, progress: Progress, out: Effects) -> None:
    """As many messages as entries and window allow."""
    # F2.LEA.3: if last log index >= next_index for a follower: send AppendEntries RPC with log entries starting at
    # next_index
    while progress.next_index <= state.log.last_index and progress.can_send(state.config):
        if progress.next_index <= state.log.snapshot_index:
            if progress.is_heard(
                state.config
            ):  # an open stream holds up space: none for who may be dead
                start_snapshot(state, peer, progress, out)
            return
        config = state.config
        entries, size = state.log.batch(
            progress.next_index, config.message_entries_max, config.message_bytes_max
        )
        _send(state, peer, progress, progress.next_index - 1, entries, 0)
        progress.on_sent(entries[-1].index, size)


def start_snapshot(state: State, peer: NodeId, progress: Progress, out: Effects) -> None:
    """The entries it needs are gone: send the state machine's state instead."""
    # P7.2: a follower whose next entry is discarded already gets a snapshot
    progress.become_snapshot()
    out.send_chunks.append(SendChunk(peer, state.current_term, 0, 0))
    notice(state, out, "sending snapshot", peer=peer, next_index=progress.next_index)


def _send(
    state: State,
    peer: NodeId,
    progress: Progress,
    prev_log_index: int,
    entries: list[Entry],
    read_round: int,
    *,
    needs_reply: bool = True,
) -> None:
    assert needs_reply or not entries, "entries are always answered"
    progress.told_commit_index = state.commit_index
    message = AppendEntries(
        term=state.current_term,
        leader_id=state.node_id,
        prev_log_index=prev_log_index,
        prev_log_term=state.log.term_at(prev_log_index),
        entries=entries,
        leader_commit=state.commit_index,
        read_round=read_round,
        needs_reply=needs_reply,
    )
    # T10.2.1: AppendEntries may overtake the leader's own entries on their way to its disk
    stable.send(state, peer, message)
