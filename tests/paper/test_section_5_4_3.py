"""Section 5.4.3: the safety argument, as attempts to break it.

The paper assumes a committed entry that a later leader lacks, and finds a voter that must have had it. Here every
majority that may have the entry meets every candidate that lacks it.
"""

from itertools import combinations

import pytest

from tests.raft.cluster import Cluster

NODES = (1, 2, 3, 4, 5)
MAJORITIES = [
    pytest.param({1, *others}, id="committed on 1" + "".join(map(str, others)))
    for size in (2, 3)
    for others in combinations((2, 3, 4, 5), size)
]
OLD_LOGS = ["1", "1 1", "1 1 1 1 1 1"]


def commit_on(holders: set[int], old_log: str) -> Cluster:
    """Node 1 leads term 2, and its entry is committed on `holders`; the others have only a log of term 1."""
    logs = dict.fromkeys(NODES, "1")
    logs |= {node_id: old_log for node_id in NODES if node_id not in holders}
    cluster = Cluster(5, logs=logs)
    cluster.elect(1, *holders - {1})
    cluster.deliver(*holders)
    assert cluster.nodes[1].state.commit_index == 2
    cluster.drop()
    return cluster


@pytest.mark.parametrize("old_log", OLD_LOGS)
@pytest.mark.parametrize("holders", MAJORITIES)
def test_candidate_that_lacks_a_committed_entry_is_not_elected(
    holders: set[int], old_log: str
) -> None:
    """P5.4.1: in any later term, with all voters listening; a longer log of an older term does not help."""
    cluster = commit_on(holders, old_log)
    for candidate in [node_id for node_id in NODES if node_id not in holders]:
        for _ in range(3):
            cluster.campaign(candidate)
            cluster.deliver()
        assert not cluster.is_leader(candidate)
    assert set(cluster.leaders.values()) == {1}


@pytest.mark.parametrize("holders", MAJORITIES)
def test_next_leader_has_every_committed_entry(holders: set[int]) -> None:
    """P5.4.1, Leader Completeness: whoever leads after the crash of node 1 has the entry, and spreads it."""
    cluster = commit_on(holders, "1 1 1")
    cluster.crash(1)
    cluster.run(8000)
    leader = cluster.leaders[max(cluster.leaders)]
    assert leader in holders
    assert all(log.startswith("1 2 ") for log in cluster.logs().values())


@pytest.mark.parametrize(
    "lost", [pytest.param(node_id, id=f"without {node_id}") for node_id in (2, 3)]
)
def test_state_machines_execute_the_same_commands(lost: int) -> None:
    """State Machine Safety: across three leaders, no index is executed with two commands."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.partition({1, 5 - lost}, {lost})
    cluster.propose(1, b"a")
    cluster.deliver()
    cluster.drop()
    cluster.partition({1}, {2, 3})
    cluster.propose(1, b"never")
    cluster.campaign(lost)  # lacks "a"
    cluster.deliver()
    assert not cluster.is_leader(lost)
    cluster.elect(5 - lost)
    cluster.propose(5 - lost, b"b")
    cluster.deliver()
    cluster.heal()
    cluster.run(500)
    assert [cluster.commands(node_id) for node_id in (1, 2, 3)] == [[b"a", b"b"]] * 3
