"""Figure 8: why an entry of an older term is not committed by counting its copies (section 5.4.2)."""

from raftwerk.raft.config import Config
from raftwerk.raft.messages import AppendEntries
from tests.raft.cluster import Cluster

ONE_BY_ONE = Config(message_entries_max=1)


def figure_a() -> Cluster:
    """S1 leads term 2 and has replicated entry 2 to S2 only."""
    cluster = Cluster(5, logs=dict.fromkeys(range(1, 6), "1"), config=ONE_BY_ONE)
    cluster.elect(1, 2, 3)
    cluster.deliver(1, 2)
    cluster.drop()
    assert cluster.logs() == {1: "1 2", 2: "1 2", 3: "1", 4: "1", 5: "1"}
    return cluster


def figure_b() -> Cluster:
    """S1 has crashed; S5 was elected for term 3 by S3, S4 and itself, and has another entry 2."""
    cluster = figure_a()
    cluster.crash(1)
    cluster.campaign(5)  # in term 2, which S3 gave to S1
    cluster.deliver(3, 5)
    cluster.drop()
    cluster.elect(5, 3, 4)
    cluster.drop()
    assert cluster.logs() == {2: "1 2", 3: "1", 4: "1", 5: "1 3"}
    return cluster


def figure_c() -> Cluster:
    """S5 has crashed; S1 leads term 4 and has replicated entry 2, of term 2, to a majority: S1, S2, S3."""
    cluster = figure_b()
    cluster.crash(5)
    cluster.restart(1)
    cluster.campaign(1)  # in term 3, which S3 gave to S5
    cluster.deliver(1, 3)
    cluster.drop()
    cluster.elect(1, 2, 3)
    cluster.tick(100, 1)
    cluster.drop(to=4)
    cluster.drop(to=5)
    while cluster.nodes[3].log != "1 2":
        _exchange(cluster, 3)
    _exchange(cluster, 3, deliver_entries=False)
    _exchange(cluster, 2, deliver_entries=False)
    cluster.drop()
    assert cluster.logs() == {1: "1 2 4", 2: "1 2", 3: "1 2", 4: "1"}
    return cluster


def _exchange(cluster: Cluster, peer: int, *, deliver_entries: bool = True) -> None:
    """One message from S1 (lost if it carries entries that are not to arrive), and all its answers."""
    queue = cluster.links[1, peer]
    if queue:
        message = queue[0]
        if not deliver_entries and isinstance(message, AppendEntries) and message.entries:
            queue.popleft()
        else:
            cluster.deliver_one(1, peer)
    while cluster.links.get((peer, 1)):
        cluster.deliver_one(peer, 1)


def test_a_majority_of_copies_does_not_commit_an_entry_of_an_older_term() -> None:
    """P5.4.2, Figure 8 (c): S1 knows that three of five have entry 2, and does not commit it."""
    cluster = figure_c()
    matched = {peer: p.match_index for peer, p in cluster.nodes[1].leader.progress.items()}
    assert matched[2] == matched[3] == 2
    assert cluster.nodes[1].state.commit_index == 0
    assert not cluster.committed


def test_d_entry_on_a_majority_is_overwritten() -> None:
    """P5.4.2, Figure 8 (d): S5 wins term 5 with S2, S3 and S4, and its entry 2 replaces the other everywhere."""
    cluster = figure_c()
    cluster.crash(1)
    cluster.restart(5)
    cluster.campaign(5)  # in term 4, which S2 and S3 gave to S1
    cluster.deliver(2, 3, 5)
    cluster.drop()
    cluster.elect(5, 2, 3, 4)
    cluster.deliver()
    cluster.restart(1)
    cluster.run(300)
    assert cluster.logs() == dict.fromkeys(range(1, 6), "1 3 5")


def test_e_entry_of_the_own_term_commits_all_before_it() -> None:
    """P5.4.2, Figure 8 (e): with an entry of term 4 on a majority, entry 2 is safe, for S5 cannot win any more."""
    cluster = figure_c()
    cluster.tick(100, 1)
    cluster.deliver(1, 2, 3)
    assert cluster.nodes[1].state.commit_index == 3
    cluster.crash(1)
    cluster.restart(5)
    for _ in range(3):
        cluster.campaign(5)
        cluster.deliver()
    assert not cluster.is_leader(5)
    cluster.run(6000)
    assert {log[:5] for log in cluster.logs().values()} == {"1 2 4"}
