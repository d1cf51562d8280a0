"""Figure 3: the properties, as far as one node can be checked for them."""

import pytest

from raftwerk.raft import invariants
from tests.raft.builder import node
from tests.raft.cluster import Cluster


def test_leader_that_deletes_entries_is_noticed() -> None:
    """F3.2: Leader Append-Only is checked after each step."""
    leader = node(1, term=2, log="1 1 2 2", role="leader")
    before = invariants.remember(leader.state)
    leader.state.log.truncate_from(4)
    with pytest.raises(AssertionError):
        invariants.check_step(before, leader.state)


def test_leader_keeps_what_it_has_when_others_disagree() -> None:
    """F3.2: the log of a new leader only grows, whatever the followers hold."""
    cluster = Cluster(3, logs={1: "1 1 3", 2: "1 2 2 2 2", 3: "1 2 2"})
    cluster.elect(1)
    cluster.deliver()
    assert cluster.logs() == dict.fromkeys((1, 2, 3), "1 1 3 4")


def test_logs_that_agree_at_an_index_agree_before_it() -> None:
    """Log Matching: after each repair, the same index and term mean the same history."""
    cluster = Cluster(5, logs={1: "1 1 4", 2: "1 1 4", 3: "1 3 3", 4: "1 2 2 2", 5: "1"})
    cluster.elect(1)
    for _ in range(4):
        cluster.deliver(rounds=1)
        logs = [node.entries for node in cluster.nodes.values()]
        for one in logs:
            for other in logs:
                common = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a == b]
                assert common == list(range(len(common)))
