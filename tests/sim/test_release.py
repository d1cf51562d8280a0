"""Releases side by side."""

import pytest

from raftwerk.raft.messages import AppendEntries, RequestVoteReply
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.release import NEXT, PRESENT, Release, shake_hands
from raftwerk.wire.codec import decode
from raftwerk.wire.frame import FrameDecoder
from raftwerk.wire.handshake import SPOKEN, Refused, Versions, Welcome

APPEND = AppendEntries(3, 1, 0, 0, [Entry(1, 3, EntryKind.COMMAND, b"\x00set")], 0)


@pytest.mark.parametrize("message", [APPEND, RequestVoteReply(3, True)], ids=["entries", "vote"])
def test_messages_of_the_next_release_are_understood(message: AppendEntries) -> None:
    """A field that is not known here is passed over."""
    frame = NEXT.encode(message)
    assert len(frame) > len(PRESENT.encode(message))
    ((kind, payload),) = FrameDecoder().feed(frame)
    assert decode(kind, payload) == message


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        (PRESENT, PRESENT, Welcome(SPOKEN.newest)),
        (NEXT, PRESENT, Welcome(SPOKEN.newest)),
        (PRESENT, NEXT, Welcome(SPOKEN.newest)),
        (NEXT, NEXT, Welcome(SPOKEN.newest + 1)),
    ],
)
def test_neighbouring_releases_speak_the_newest_common_version(
    ours: Release, theirs: Release, answer: Welcome
) -> None:
    assert shake_hands(0xC1, (1, ours), (2, theirs)) == answer


@pytest.mark.parametrize("spoken", [Versions(0, 0), Versions(2, 3)], ids=["older", "newer"])
def test_unknown_version_is_refused_with_both_ranges(spoken: Versions) -> None:
    answer = shake_hands(0xC1, (1, Release(spoken)), (2, PRESENT))
    assert isinstance(answer, Refused)
    assert f"{spoken.oldest} to {spoken.newest} are spoken there, 1 to 1 here" in answer.reason
