"""commit_index and last_applied: how both move, on leaders and on followers."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.types import Index, NodeId
from tests.raft.builder import entries, node

# --- leaders


@pytest.mark.parametrize(
    ("acks", "commit"),
    [({2: 5}, 5), ({2: 4}, 4), ({2: 3, 3: 4}, 4), ({2: 4, 3: 5}, 5), ({}, 0)],
    ids=["all", "one", "the-higher", "the-highest", "none"],
)
def test_leader_commits_what_a_majority_holds(acks: dict[NodeId, Index], commit: Index) -> None:
    leader = node(1, term=3, log="1 1 2 3 3", role="leader", commit=commit, acks=acks)
    assert leader.state.commit_index == commit


def test_leader_does_not_count_for_an_entry_of_an_older_term() -> None:
    """Figure 8: only entries of the leader's current term are committed by counting replicas."""
    leader = node(1, term=4, log="1 2 4", role="leader")
    leader.ack(2, 2)
    leader.ack(3, 2)
    assert leader.state.commit_index == 0


def test_older_entries_are_committed_along_with_one_of_the_own_term() -> None:
    leader = node(1, term=4, log="1 2 4", role="leader")
    effects = leader.ack(2, 3)
    assert leader.state.commit_index == 3
    assert [entry.term for entry in effects.committed] == [1, 2, 4]


def test_joint_configuration_commits_with_both_majorities() -> None:
    leader = node(1, term=2, log="1 2", role="leader", voters=(1, 2, 3), outgoing=(1, 4, 5))
    leader.ack(2, 2)
    assert leader.state.commit_index == 0
    leader.ack(4, 2)
    assert leader.state.commit_index == 2


def test_learner_does_not_help_to_commit() -> None:
    leader = node(1, term=2, log="1 2", role="leader", learners=(4, 5))
    leader.ack(4, 2)
    leader.ack(5, 2)
    assert leader.state.commit_index == 0


def test_single_voter_commits_with_its_own_disk() -> None:
    leader = node(1, term=2, log="1 2", role="leader", voters=(1,), commit=2, slow_disk=True)
    leader.propose(b"x")
    assert leader.state.commit_index == 2
    leader.persist()
    assert leader.state.commit_index == 3


def test_leader_counts_down_what_waits_for_commitment() -> None:
    leader = node(1, term=2, log="1 2", role="leader", acks={2: 2}, commit=2)
    leader.propose(b"four", b"seven77")
    leader.propose(b"x")
    assert leader.leader.uncommitted_bytes == 12
    leader.ack(2, 4)
    assert leader.leader.uncommitted_bytes == 1


def test_new_leader_counts_what_it_inherits() -> None:
    leader = node(1, term=2, log="1 1 2", role="leader")
    assert leader.leader.uncommitted_bytes == len(b"1@1" + b"2@1")


# --- followers


@pytest.mark.parametrize(
    ("leader_commit", "commit"), [(2, 2), (4, 4), (9, 5)], ids=["less", "within", "ahead"]
)
def test_follower_learns_as_far_as_its_log_is_known_to_match(
    leader_commit: Index, commit: Index
) -> None:
    """commit_index = min(leader_commit, index of last new entry)."""
    follower = node(1, term=3, log="1 1 1", leader=2)
    follower.receive(2, AppendEntries(3, 2, 3, 1, entries("3 3", 4), leader_commit))
    assert follower.state.commit_index == commit


def test_entries_behind_the_last_new_one_are_not_known_to_match() -> None:
    """They may be of a leader that lost."""
    follower = node(1, term=3, log="1 1 2 2", leader=2)
    follower.receive(2, AppendEntries(3, 2, 2, 1, [], 4))
    assert follower.state.commit_index == 2


@pytest.mark.parametrize(
    ("prev_log_index", "leader_commit"), [(4, 1), (1, 9)], ids=["older-news", "short-match"]
)
def test_commit_index_never_falls(prev_log_index: Index, leader_commit: Index) -> None:
    follower = node(1, term=3, log="1 1 2 2", commit=3, leader=2)
    prev_term = 2 if prev_log_index > 2 else 1
    follower.receive(2, AppendEntries(3, 2, prev_log_index, prev_term, [], leader_commit))
    assert follower.state.commit_index == 3


# --- what is applied


def test_each_entry_is_handed_out_once_in_order() -> None:
    follower = node(1, term=3, log="1 1 2 2", leader=2)
    first = follower.receive(2, AppendEntries(3, 2, 4, 2, [], 2))
    second = follower.receive(2, AppendEntries(3, 2, 4, 2, [], 4))
    assert first.committed + second.committed == entries("1 1 2 2")
    assert follower.step().committed == []


def test_one_step_hands_out_a_bounded_number() -> None:
    config = Config(apply_entries_max=3)
    follower = node(1, term=3, log="1 1 2 2", leader=2, config=config)
    effects = follower.receive(2, AppendEntries(3, 2, 4, 2, [], 4))
    assert ([entry.index for entry in effects.committed], effects.has_more) == ([1, 2, 3], True)
    effects = follower.step()
    assert ([entry.index for entry in effects.committed], effects.has_more) == ([4], False)


@pytest.mark.parametrize(("bytes_max", "count"), [(1, 1), (8, 2), (9, 3)])
def test_one_step_hands_out_a_bounded_size(bytes_max: int, count: int) -> None:
    """But one at least; each command here has three bytes."""
    config = Config(apply_bytes_max=bytes_max)
    follower = node(1, term=3, log="1 1 2 2", leader=2, config=config)
    effects = follower.receive(2, AppendEntries(3, 2, 4, 2, [], 4))
    assert len(effects.committed) == count
    assert effects.has_more
