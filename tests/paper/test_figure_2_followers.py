"""Figure 2, "Rules for Servers", followers."""

import pytest

from raftwerk.raft.messages import (
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from tests.raft.builder import CONFIG, append_entries, node, receivers, sent

MEMBERSHIP = b'{"voters":[1,2,3],"outgoing":[],"learners":[]}'


@pytest.mark.parametrize(
    ("rpc", "reply_type"),
    [
        pytest.param(append_entries(3, 2), AppendEntriesReply, id="AppendEntries"),
        pytest.param(RequestVote(3, 2, 0, 0), RequestVoteReply, id="RequestVote"),
        pytest.param(PreVote(3, 4, 2, 0, 0), PreVoteReply, id="PreVote"),
        pytest.param(
            InstallSnapshot(3, 2, 9, 2, MEMBERSHIP, 0, b"x", done=False),
            InstallSnapshotReply,
            id="InstallSnapshot",
        ),
    ],
)
def test_follower_responds(rpc: Message, reply_type: type[Message]) -> None:
    """F2.FOL.1: every RPC of a candidate or leader gets its answer."""
    replies = sent(node(1, term=3).receive(2, rpc), reply_type, to=2)
    assert len(replies) == 1


def test_silence_leads_to_an_election() -> None:
    """F2.FOL.2: a follower that hears of nobody for an election timeout becomes a candidate."""
    follower = node(1, term=3, leader=2)
    effects = follower.time_out()
    assert receivers(effects, PreVote) == [2, 3]
    effects = follower.receive(3, PreVoteReply(3, 4, True))
    assert receivers(effects, RequestVote) == [2, 3]
    assert follower.role == "Candidate"


def test_follower_waits_at_least_the_minimum() -> None:
    """F2.FOL.2: not before the election timeout has elapsed."""
    follower = node(1, term=3, leader=2)
    follower.tick(CONFIG.election_timeout_ms - 1)
    assert follower.role == "Follower"


def test_heartbeats_of_the_leader_keep_a_follower_waiting() -> None:
    """F2.FOL.2a: each AppendEntries of the current leader starts the wait anew."""
    follower = node(1, term=3, leader=2)
    for _ in range(5):
        assert not follower.tick(CONFIG.election_timeout_ms - 1).messages
        follower.receive(2, append_entries(3, 2))
    assert (follower.role, follower.state.current_term) == ("Follower", 3)


def test_granted_vote_starts_the_wait_anew() -> None:
    """F2.FOL.2b: whoever got the vote is given the time to win."""
    follower = node(1, term=3)
    follower.time_out()
    follower.receive(2, append_entries(3, 2))
    follower.tick(CONFIG.election_timeout_ms - 1)
    follower.receive(3, RequestVote(3, 3, 0, 0))
    assert follower.state.voted_for == 3
    follower.tick(CONFIG.election_timeout_ms - 1)
    assert follower.role == "Follower"


def test_refused_vote_does_not_start_the_wait_anew() -> None:
    """F2.FOL.2b: a candidate with a poor log does not keep the others from their own elections."""
    follower = node(1, term=3, log="1 2", voted_for=2)
    follower.receive(2, append_entries(3, 2))
    follower.tick(CONFIG.election_timeout_ms - 1)
    follower.receive(3, RequestVote(3, 3, 0, 0))
    follower.tick(CONFIG.election_timeout_ms + 1)
    assert follower.role == "PreCandidate"
