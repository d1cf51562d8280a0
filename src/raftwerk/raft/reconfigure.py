"""Membership in the log: a node uses the newest configuration in its log, committed or not (thesis 4.1).

Adopted when its entry is appended, rolled back when that entry is truncated. How changes are proposed is not built yet.
"""

from collections.abc import Sequence

from raftwerk.raft.effects import Effects
from raftwerk.raft.membership import Membership
from raftwerk.raft.progress import Progress
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State, notice
from raftwerk.raft.types import Entry, EntryKind, Index


def adopt(state: State, entries: Sequence[Entry], out: Effects) -> None:
    """Use the configurations among newly appended entries."""
    # T4.1.1: the newest configuration in the log is in force, committed or not
    for entry in entries:
        if entry.kind is EntryKind.MEMBERSHIP:
            state.memberships.append((entry.index, Membership.decode(entry.command)))
            _in_force(state, out)


def roll_back(state: State, index: Index, out: Effects) -> None:
    """Entries from `index` on were truncated: fall back to the configuration before them."""
    # T4.1.2: when its entry is deleted, the configuration before it is in force again
    is_changed = False
    while state.memberships[-1][0] >= index and len(state.memberships) > 1:
        state.memberships.pop()
        is_changed = True
    if is_changed:
        _in_force(state, out)


def on_compacted(state: State, index: Index) -> None:
    """The log now starts after `index`: keep the configuration in force there as the first one."""
    while len(state.memberships) > 1 and state.memberships[1][0] <= index:
        state.memberships.pop(0)


def membership_at(state: State, index: Index) -> Membership:
    """The configuration in force at `index`, which is not before the log's snapshot."""
    return [membership for start, membership in state.memberships if start <= index][-1]


def reset(state: State, index: Index, membership: Membership, out: Effects) -> None:
    """A snapshot replaced the log."""
    state.memberships = [(index, membership)]
    _in_force(state, out)


def _in_force(state: State, out: Effects) -> None:
    members = state.membership
    notice(state, out, "membership", voters=" ".join(f"{node:x}" for node in members.voters))
    if isinstance(state.role, Leader):
        progress = state.role.progress
        state.role.progress = {
            node_id: progress.get(node_id) or Progress(next_index=state.log.last_index + 1)
            for node_id in members.nodes
            if node_id != state.node_id
        }
