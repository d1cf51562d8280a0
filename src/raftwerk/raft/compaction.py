"""Log compaction (section 7): what a checkpoint holds may go, but for a tail that is cheaper than a snapshot.

It goes some in each step: what is long out of the caches takes long to be freed.
"""

from typing import Final

from raftwerk.raft import reconfigure
from raftwerk.raft.effects import Effects
from raftwerk.raft.progress import Mode
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index

PARTS: Final = 50
"""Of much that may go, one of so many parts goes in a step, or it would become ever more."""
TIMES_MAX: Final = 4
"""But no more than so many times let_go_max: with that a step lets more go than it applies."""


def on_checkpointed(state: State, index: Index) -> None:
    """The state machine's state up to `index` is durable. That says how far the log may go."""
    assert index <= state.last_applied
    state.checkpoint_index = max(state.checkpoint_index, index)
    state.compact_index = _compact_index(state)


def let_go(state: State, out: Effects) -> None:
    """Discard some of what the last checkpoint has made needless."""
    # P7.1: once the state is on stable storage, the log up to that point is discarded; the index and term of the last
    # entry that went are kept, for the consistency check of AppendEntries
    log, most = state.log, state.config.let_go_max
    if state.compact_index <= log.snapshot_index:
        return
    count = min(state.compact_index, _oldest_snapshot_under_way(state)) - log.snapshot_index
    if count > 0:
        index = log.snapshot_index + min(count, max(most, min(count // PARTS, TIMES_MAX * most)))
        log.compact_to(index)
        reconfigure.on_compacted(state, index)
        out.compact_to = index


def _compact_index(state: State) -> Index:
    """The checkpoint, less the tail: bounded in entries, and in bytes when the entries are large."""
    log, config = state.log, state.config
    limit = max(log.snapshot_index, _oldest_snapshot_under_way(state))
    entries_over = 0
    size = log.size_bytes
    if size > config.tail_bytes_max:
        for entry in log.slice(log.snapshot_index + 1, limit + 1):
            if size <= config.tail_bytes_max:
                break
            size -= len(entry.command)
            entries_over += 1
    return min(max(log.last_index - config.tail_entries, log.snapshot_index + entries_over), limit)


def _oldest_snapshot_under_way(state: State) -> Index:
    """A follower that is receiving a snapshot needs the entries after it, or it would need the next snapshot at once."""
    needed = state.checkpoint_index
    if isinstance(state.role, Leader):
        for progress in state.role.progress.values():
            is_heard = progress.is_heard(state.config)
            if progress.mode is Mode.SNAPSHOT and progress.snapshot_index and is_heard:
                needed = min(needed, progress.snapshot_index)
    return needed
