"""Figure 2, "Rules for Servers", all servers."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.messages import (
    AppendEntriesReply,
    InstallSnapshotReply,
    Message,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from tests.raft.builder import append_entries, node


def test_committed_entries_are_applied_in_order() -> None:
    """F2.ALL.1: last_applied follows commit_index, one entry after the other."""
    follower = node(1, term=3, log="1 1 2 3", commit=1, leader=2)
    effects = follower.receive(2, append_entries(3, 2, prev=(4, 3), commit=3))
    assert [entry.index for entry in effects.committed] == [2, 3]
    assert follower.state.last_applied == 3


def test_nothing_is_applied_twice() -> None:
    """F2.ALL.1: what was handed out is not handed out again."""
    follower = node(1, term=3, log="1 1 2 3", commit=1, leader=2)
    rpc = append_entries(3, 2, prev=(4, 3), commit=3)
    follower.receive(2, rpc)
    assert not follower.receive(2, rpc).committed


def test_uncommitted_entries_are_not_applied() -> None:
    """F2.ALL.1: being in the log is not enough."""
    follower = node(1, term=3, log="1 1", commit=2, leader=2)
    effects = follower.receive(2, append_entries(3, 2, prev=(2, 1), new="3 3", commit=2))
    assert not effects.committed


def test_long_backlog_is_applied_in_bounded_steps() -> None:
    """F2.ALL.1: a step hands out a bounded number of entries and says that there are more."""
    follower = node(1, term=3, log="1 1 1 3", leader=2, config=Config(apply_entries_max=3))
    effects = follower.receive(2, append_entries(3, 2, prev=(4, 3), commit=4))
    assert [entry.index for entry in effects.committed] == [1, 2, 3]
    assert effects.has_more
    assert [entry.index for entry in follower.step().committed] == [4]


NEWER = [
    pytest.param(append_entries(9, 2), id="AppendEntries"),
    pytest.param(AppendEntriesReply(9, False, 0), id="AppendEntriesReply"),
    pytest.param(RequestVoteReply(9, False), id="RequestVoteReply"),
    pytest.param(PreVoteReply(9, 3, False), id="PreVoteReply"),
    pytest.param(InstallSnapshotReply(9, 1, 0, False), id="InstallSnapshotReply"),
    pytest.param(RequestVote(9, 2, 0, 0, is_transfer=True), id="RequestVote"),
]


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate", "leader"])
@pytest.mark.parametrize("message", NEWER)
def test_newer_term_makes_a_follower(role: str, message: Message) -> None:
    """F2.ALL.2: whoever hears of a later term takes it over, and follows."""
    server = node(1, term=3, log="1 2", role=role)
    server.receive(2, message)
    assert server.state.current_term == 9
    assert server.role == "Follower"


def test_vote_of_the_older_term_is_forgotten() -> None:
    """F2.ALL.2: a new term begins without a vote."""
    server = node(1, term=3, voted_for=1)
    server.receive(2, AppendEntriesReply(4, False, 0))
    assert (server.state.current_term, server.state.voted_for) == (4, 0)


@pytest.mark.parametrize("role", ["follower", "candidate", "leader"])
def test_older_term_changes_nothing(role: str) -> None:
    """F2.ALL.2: only a later term does."""
    server = node(1, term=3, log="1 2", role=role)
    server.receive(2, AppendEntriesReply(2, True, 1), RequestVoteReply(2, True))
    assert server.state.current_term == 3
    assert server.role.lower() == role
