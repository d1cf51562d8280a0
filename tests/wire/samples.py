"""One message of each type."""

from typing import Final

from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftwerk.raft.types import Entry, EntryKind

SAMPLES: Final[list[Message]] = [
    PreVote(3, 4, 0xA1, 9, 2),
    PreVoteReply(3, 4, vote_granted=True),
    RequestVote(4, 0xA1, 9, 2, is_transfer=True),
    RequestVoteReply(4, vote_granted=False),
    AppendEntries(
        4,
        0xA1,
        9,
        2,
        [Entry(10, 4, EntryKind.NO_OP, b""), Entry(11, 4, EntryKind.COMMAND, b"set")],
        9,
        7,
    ),
    AppendEntriesReply(4, success=False, match_index=0, conflict_index=5, conflict_term=2),
    InstallSnapshot(4, 0xA1, 9, 2, b"members", 4096, b"chunk", done=False),
    InstallSnapshotReply(4, 9, 4101, installed=False),
    ForwardCommands(4, 17, [b"one", b"two"]),
    ForwardCommandsReply(4, 17, 12),
    ReadIndex(4, 18),
    ReadIndexReply(4, 18, 11, "no leader"),
    TimeoutNow(4, 0xA1),
]
