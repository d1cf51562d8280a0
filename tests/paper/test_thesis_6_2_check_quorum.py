"""Thesis 6.2: a leader that hears of no majority steps down."""

import pytest

from raftwerk.raft.messages import AppendEntriesReply
from tests.raft.builder import CONFIG, node
from tests.raft.cluster import Cluster


def test_leader_without_a_majority_steps_down() -> None:
    """T6.2.1: after an election timeout of silence, in its own term."""
    leader = node(1, term=2, log="2", commit=1, role="leader")
    leader.tick(CONFIG.election_timeout_ms - 1)
    assert leader.role == "Leader"
    leader.tick(1)
    assert leader.role == "Follower"
    assert (leader.state.current_term, leader.state.leader_id) == (2, 0)


@pytest.mark.parametrize(
    ("heard", "role"),
    [
        pytest.param((2,), "Follower", id="two of five"),
        pytest.param((2, 4), "Leader", id="three of five"),
    ],
)
def test_leader_stays_while_it_hears_a_majority(heard: tuple[int, ...], role: str) -> None:
    """T6.2.1: any answer of the term counts, itself included."""
    leader = node(1, term=2, log="2", commit=1, role="leader", voters=(1, 2, 3, 4, 5))
    leader.tick(CONFIG.election_timeout_ms - 1)
    for peer in heard:
        leader.receive(peer, AppendEntriesReply(2, False, 0, 1))
    leader.tick(1)
    assert leader.role == role


def test_learners_do_not_keep_a_leader() -> None:
    """T6.2.1: a majority of voters is needed."""
    leader = node(1, term=2, log="2", commit=1, role="leader", learners=(4, 5))
    leader.tick(CONFIG.election_timeout_ms - 1)
    leader.ack(4, 1)
    leader.ack(5, 1)
    leader.tick(1)
    assert leader.role == "Follower"


def test_clients_of_a_leader_that_is_cut_off_find_the_new_one() -> None:
    """T6.2.1: end to end, with the minority's leader giving up by itself."""
    cluster = Cluster(5)
    cluster.elect(1)
    cluster.deliver()
    cluster.partition({1, 2}, {3, 4, 5})
    cluster.run(5000)
    leaders = [node_id for node_id in cluster.nodes if cluster.is_leader(node_id)]
    assert len(leaders) == 1
    assert leaders[0] in (3, 4, 5)
