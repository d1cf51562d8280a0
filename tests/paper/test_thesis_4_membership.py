"""Thesis chapter 4: configurations in the log, learners, joint consensus, and servers that disturb (4.2.3)."""

import pytest

from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from tests.raft.builder import (
    CONFIG,
    Node,
    append_entries,
    entries,
    membership_entry,
    node,
    only,
    receivers,
    sent,
)
from tests.raft.cluster import Cluster

OLD = Membership((1, 2, 3))
NEW = Membership((1, 2, 3, 4))


def with_new_membership() -> Node:
    """A follower that has just received, in entry 3, a configuration that is not committed."""
    follower = node(1, term=3, log="1 1", leader=2)
    entry = membership_entry(3, 3, NEW)
    follower.receive(2, AppendEntries(3, 2, 2, 1, [entry], 0))
    return follower


def test_configuration_is_used_when_it_is_appended() -> None:
    """T4.1.1: committed or not."""
    follower = with_new_membership()
    assert follower.state.commit_index == 0
    assert follower.state.membership == NEW


def test_new_configuration_decides_the_next_election() -> None:
    """T4.1.1: the candidate asks the voters of the newest configuration."""
    follower = with_new_membership()
    follower.time_out()
    effects = follower.receive(2, PreVoteReply(3, 4, True))
    assert follower.role == "PreCandidate"
    effects = follower.receive(4, PreVoteReply(3, 4, True))
    assert receivers(effects, RequestVote) == [2, 3, 4]


def test_configuration_is_found_in_the_log_after_a_restart() -> None:
    """T4.1.1: it is in force as soon as it is in the log, also in the log that was read from disk."""
    log = [*entries("1 1"), membership_entry(3, 3, NEW), *entries("3", first=4)]
    assert node(1, term=3, log=log).state.membership == NEW


def test_configuration_goes_with_its_entry() -> None:
    """T4.1.2: another leader deletes the entry; the one before it is in force again."""
    follower = with_new_membership()
    follower.receive(3, append_entries(4, 3, prev=(2, 1), new="4"))
    assert follower.state.membership == OLD


def test_configuration_stays_when_later_entries_are_deleted() -> None:
    """T4.1.2: only what is deleted is forgotten."""
    follower = with_new_membership()
    follower.receive(2, append_entries(3, 2, prev=(3, 3), new="3"))
    follower.receive(3, append_entries(4, 3, prev=(3, 3), new="4"))
    assert follower.log == "1 1 3 4"
    assert follower.state.membership == NEW


def test_learner_does_not_count_towards_commitment() -> None:
    """T4.2.1: two learners and the leader are no majority of three voters."""
    leader = node(1, term=2, log="2", role="leader", learners=(4, 5))
    leader.ack(4, 1)
    leader.ack(5, 1)
    assert leader.state.commit_index == 0
    leader.ack(3, 1)
    assert leader.state.commit_index == 1


def test_learner_gets_the_log() -> None:
    """T4.2.1: as every follower does."""
    leader = node(1, term=2, log="2", commit=1, role="leader", learners=(4,), acks={4: 1})
    assert len(only(leader.propose(b"x"), AppendEntries, to=4).entries) == 1


def test_learners_vote_is_not_counted() -> None:
    """T4.2.1: whatever it says."""
    candidate = node(1, term=2, role="candidate", learners=(4, 5))
    candidate.receive(4, RequestVoteReply(2, True))
    candidate.receive(5, RequestVoteReply(2, True))
    assert candidate.role == "Candidate"


def test_learner_is_not_asked_for_its_vote() -> None:
    """T4.2.1: only voters are."""
    server = node(1, term=2, role="pre-candidate", learners=(4,))
    assert receivers(server.receive(2, PreVoteReply(2, 3, True)), RequestVote) == [2, 3]


def test_learner_starts_no_election() -> None:
    """T4.2.2: however long it hears of nobody."""
    learner = node(4, term=2, learners=(4,), leader=1)
    for _ in range(3):
        assert not learner.time_out().messages
    assert learner.role == "Follower"


def joint(role: str) -> Node:
    """From the servers 1, 4, 5 to 1, 2, 3: each decision needs a majority of both."""
    return node(1, term=2, role=role, voters=(1, 2, 3), outgoing=(1, 4, 5))


@pytest.mark.parametrize(
    ("granting", "is_elected"),
    [
        pytest.param((2, 3), False, id="only the new ones"),
        pytest.param((4, 5), False, id="only the old ones"),
        pytest.param((2, 4), True, id="one of each"),
    ],
)
def test_joint_election_needs_both_majorities(granting: tuple[int, ...], is_elected: bool) -> None:
    """T4.3.1: neither the old nor the new servers can decide alone."""
    candidate = joint("candidate")
    for voter in granting:
        candidate.receive(voter, RequestVoteReply(2, True))
    assert (candidate.role == "Leader") is is_elected


@pytest.mark.parametrize(
    ("acks", "commit_index"),
    [
        pytest.param({2: 1, 3: 1}, 0, id="only the new ones"),
        pytest.param({4: 1, 5: 1}, 0, id="only the old ones"),
        pytest.param({3: 1, 5: 1}, 1, id="one of each"),
    ],
)
def test_joint_commitment_needs_both_majorities(acks: dict[int, int], commit_index: int) -> None:
    """T4.3.2: an entry must be on a majority of each."""
    leader = joint("leader")
    for peer, index in acks.items():
        leader.ack(peer, index)
    assert leader.state.commit_index == commit_index


DISRUPTIVE = RequestVote(9, 3, 5, 8)


def test_leader_that_is_heard_keeps_its_followers() -> None:
    """T4.2.3b: within the minimum election timeout, a later term from a candidate is not taken over."""
    follower = node(1, term=3, log="1 2", leader=2)
    follower.tick(CONFIG.election_timeout_ms - 1)
    follower.receive(3, DISRUPTIVE)
    assert (follower.state.current_term, follower.state.leader_id) == (3, 2)
    assert follower.role == "Follower"


def test_leader_is_not_unseated_by_a_candidate() -> None:
    """T4.2.3b: it hears itself."""
    leader = node(1, term=3, log="1 2", role="leader")
    leader.receive(3, DISRUPTIVE)
    assert leader.role == "Leader"
    assert leader.state.current_term == 3


def test_candidate_gets_no_vote_while_the_leader_is_heard() -> None:
    """T4.2.3c: neither the term nor the vote of the voter changes, and it says nothing."""
    follower = node(1, term=3, log="1 2", leader=2)
    assert not sent(follower.receive(3, DISRUPTIVE), RequestVoteReply)
    assert follower.state.current_term == 3
    assert follower.state.voted_for == 0


def test_candidate_gets_the_vote_when_the_leader_is_silent() -> None:
    """T4.2.3a: after the minimum election timeout, before the own one."""
    follower = node(1, term=3, log="1 2", leader=2)
    follower.tick(CONFIG.election_timeout_ms)
    assert follower.role == "Follower"
    reply = only(follower.receive(3, DISRUPTIVE), RequestVoteReply, to=3)
    assert reply == RequestVoteReply(9, True)


def test_only_the_leader_breaks_the_silence() -> None:
    """T4.2.3a: other messages do not show that it lives."""
    follower = node(1, term=3, log="1 2", leader=2)
    follower.tick(CONFIG.election_timeout_ms - 1)
    follower.receive(3, AppendEntriesReply(3, True, 1))
    follower.tick(1)
    assert only(follower.receive(3, DISRUPTIVE), RequestVoteReply, to=3).vote_granted


def test_removed_server_does_not_disturb_the_cluster() -> None:
    """T4.2.3b: it times out, raises its term and asks, again and again; the leader stays."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    for term in range(5, 9):
        for receiver in (1, 2):
            cluster.nodes[receiver].receive(3, RequestVote(term, 3, 1, 1))
        cluster.run(200)
    assert cluster.leaders == {1: 1}
    assert cluster.is_leader(1)
