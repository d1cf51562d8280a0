"""Section 5.2: leader election."""

import pytest

from raftwerk.raft.messages import RequestVote, RequestVoteReply
from raftwerk.raft.roles import Follower
from tests.raft.builder import CONFIG, append_entries, node
from tests.raft.cluster import Cluster


def drawn_timeout_ms(seed: int) -> int:
    follower = node(1, term=1, leader=2, seed=seed)
    assert isinstance(follower.state.role, Follower)
    return follower.state.role.election_timeout_ms


def test_election_timeouts_are_random() -> None:
    """P5.2.1: spread over the whole interval, so that seldom two followers time out together."""
    drawn = {drawn_timeout_ms(seed) for seed in range(100)}
    minimum = CONFIG.election_timeout_ms
    assert all(minimum <= timeout < 2 * minimum for timeout in drawn)
    assert len(drawn) > 50
    assert min(drawn) < 1.2 * minimum < 1.8 * minimum < max(drawn)


def test_each_wait_is_drawn_anew() -> None:
    """P5.2.1: whoever was unlucky once is not unlucky for ever."""
    follower = node(1, term=1)
    drawn = set()
    for _ in range(10):
        follower.receive(2, append_entries(1, 2))
        assert isinstance(follower.state.role, Follower)
        drawn.add(follower.state.role.election_timeout_ms)
    assert len(drawn) > 5


@pytest.mark.parametrize("voters", [2, 3, 4, 5, 7])
def test_cluster_elects_one_leader(voters: int) -> None:
    """P5.2.1: from a cold start, split votes end."""
    cluster = Cluster(voters)
    cluster.run(6000)
    leaders = [node_id for node_id in cluster.nodes if cluster.is_leader(node_id)]
    assert len(leaders) == 1
    assert {node.state.leader_id for node in cluster.nodes.values()} == set(leaders)


def test_split_vote_is_resolved_by_the_next_election() -> None:
    """P5.2.1: two candidates of four get two votes each; then one of them times out first."""
    cluster = Cluster(4)
    cluster.campaign(1)
    cluster.campaign(2)
    cluster.deliver_one(1, 3)
    cluster.deliver_one(2, 4)
    cluster.deliver()
    assert not cluster.leaders
    cluster.run(6000)
    assert len([node_id for node_id in cluster.nodes if cluster.is_leader(node_id)]) == 1


def test_vote_of_an_older_election_is_not_counted() -> None:
    """P5.2.2: a candidate needs a majority in one and the same term."""
    candidate = node(1, term=4, role="candidate")
    candidate.receive(2, RequestVoteReply(3, True))
    candidate.receive(3, RequestVoteReply(3, True))
    assert candidate.role == "Candidate"


def test_vote_that_arrives_after_the_election_changes_nothing() -> None:
    """P5.2.2: a follower has no use for votes."""
    follower = node(1, term=4, leader=3)
    follower.receive(2, RequestVoteReply(4, True))
    assert follower.role == "Follower"


def test_at_most_one_of_two_candidates_wins_a_term() -> None:
    """P5.2.2: each server votes once, so two majorities of one term cannot be."""
    cluster = Cluster(5)
    cluster.campaign(1)
    cluster.campaign(5)
    cluster.deliver()
    assert set(cluster.leaders) <= {1}
    votes = [node.state.voted_for for node in cluster.nodes.values()]
    assert len(votes) == 5
    assert all(voted_for in (1, 5) for voted_for in votes)


def test_candidate_asks_again_for_the_vote_it_has() -> None:
    """P5.2.2: a request that is repeated gets the same answer."""
    voter = node(1, term=4, log="1")
    first = voter.receive(3, RequestVote(5, 3, 1, 1)).messages
    again = voter.receive(3, RequestVote(5, 3, 1, 1)).messages
    assert first == again == [(3, RequestVoteReply(5, True))]
