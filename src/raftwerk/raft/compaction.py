"""Log compaction (section 7): what a checkpoint holds may go, but for a tail that is cheaper than a snapshot.

It goes some in each step: entries that are long out of the caches take a millisecond or two for 500 of them to be freed.
"""

from typing import Final

from raftwerk.raft import reconfigure
from raftwerk.raft.effects import Effects
from raftwerk.raft.progress import Mode
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index

LET_GO_MAX: Final = 500
"""Entries that go in one step."""
LET_GO_SHARE: Final = 50
"""But this part of all that are to go: they must not become ever more."""


def on_checkpointed(state: State, index: Index) -> None:
    """The state machine's state up to `index` is durable."""
    assert index <= state.last_applied
    state.checkpoint_index = max(state.checkpoint_index, index)
    state.compact_target = _compact_index(state)


def let_go(state: State, out: Effects) -> None:
    """Discard some of what the last checkpoint has made needless."""
    # P7.1: once the state is on stable storage, the log up to that point is discarded; the index and term of the last
    # entry that went are kept, for the consistency check of AppendEntries
    first = state.log.snapshot_index
    count = state.compact_target - first
    if count > 0:
        compact_index = first + min(count, max(LET_GO_MAX, count // LET_GO_SHARE))
        state.log.compact_to(compact_index)
        reconfigure.on_compacted(state, compact_index)
        out.compact_to = compact_index


def _compact_index(state: State) -> Index:
    """The checkpoint, less the tail: bounded in entries, and in bytes when the entries are large."""
    log, config = state.log, state.config
    entries_over = 0
    size = log.size_bytes
    if size > config.tail_bytes_max:
        for entry in log.slice(log.snapshot_index + 1, state.checkpoint_index + 1):
            if size <= config.tail_bytes_max:
                break
            size -= len(entry.command)
            entries_over += 1
    index = max(log.last_index - config.tail_entries, log.snapshot_index + entries_over)
    return max(log.snapshot_index, min(index, _oldest_snapshot_under_way(state)))


def _oldest_snapshot_under_way(state: State) -> Index:
    """A follower that is receiving a snapshot needs the entries after it, or it would need the next snapshot at once."""
    needed = state.checkpoint_index
    if isinstance(state.role, Leader):
        for progress in state.role.progress.values():
            is_heard = progress.is_heard(state.config)
            if progress.mode is Mode.SNAPSHOT and progress.snapshot_index and is_heard:
                needed = min(needed, progress.snapshot_index)
    return needed
