"""The scenarios of the university course on Raft: elections (A), the log (B), persistence (C), snapshots (D)."""

from raftwerk.raft.types import NodeId
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage

# A: elections


def initial_election(stage: Stage) -> None:
    """One leader, one term, and both stay while nothing breaks."""
    leader = stage.one_leader()
    term = stage.term(leader)
    stage.run_timeouts(4)
    assert stage.one_leader() == leader
    assert {stage.term(node_id) for node_id in stage.nodes} == {term}


def re_election(stage: Stage) -> None:
    """A leader is cut off and replaced; returns as a follower; without a majority nobody leads."""
    first = stage.one_leader()
    stage.disconnect(first)
    second = stage.one_leader()
    assert second != first
    stage.connect(first)
    stage.run_timeouts(2)
    assert stage.one_leader() == second
    other = next(iter(stage.others(first, second)))
    stage.disconnect(second, other)
    stage.no_leader()
    stage.connect(other)
    stage.one_leader()
    stage.connect(second)
    stage.one_leader()


def many_elections(stage: Stage) -> None:
    """Ten times three of seven are cut off: the others always have a leader."""
    stage.one_leader()
    for _ in range(10):
        chosen = stage.random.sample(stage.nodes, 3)
        stage.disconnect(*chosen)
        stage.one_leader()
        stage.connect(*chosen)
    stage.one_leader()


# B: the log


def basic_agree(stage: Stage) -> None:
    """Commands are committed at consecutive indexes."""
    first = stage.agree(nodes=3)
    assert [stage.agree(nodes=3) for _ in range(3)] == [first + 1, first + 2, first + 3]


def rpc_bytes(stage: Stage) -> None:
    """Each command is sent once to each peer."""
    stage.agree(nodes=3)
    before = stage.cluster.network.sent_bytes
    for _ in range(10):
        stage.agree(nodes=3, size=5_000)
    assert stage.cluster.network.sent_bytes - before <= 2 * 10 * 5_000 + 50_000


def follower_failure(stage: Stage) -> None:
    """Followers are cut off one by one: with one there is agreement, with none there is not."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    first, second = stage.others(leader)
    stage.disconnect(first)
    stage.agree(nodes=2)
    stage.disconnect(second)
    proposal = stage.propose(leader)
    stage.run_timeouts(4)
    assert not proposal.is_done
    assert len(stage.applied_by(stage.committed)) <= 2


def leader_failure(stage: Stage) -> None:
    """Leaders are cut off one by one."""
    stage.agree(nodes=3)
    first = stage.one_leader()
    stage.disconnect(first)
    stage.agree(nodes=2)
    second = stage.one_leader()
    stage.disconnect(second)
    committed = stage.committed
    proposals = [stage.propose(node_id) for node_id in stage.nodes]
    stage.run_timeouts(4)
    assert not any(proposal.is_done for proposal in proposals)
    assert stage.committed == committed


def fail_agree(stage: Stage) -> None:
    """A follower that was away catches up."""
    stage.agree(nodes=3)
    follower = stage.others(stage.one_leader())[0]
    stage.disconnect(follower)
    for _ in range(4):
        stage.agree(nodes=2)
    stage.connect(follower)
    stage.agree(nodes=3)


def fail_no_agree(stage: Stage) -> None:
    """Three of five followers are away: nothing commits; then it does."""
    stage.agree(nodes=5)
    leader = stage.one_leader()
    away = stage.others(leader)[:3]
    committed = stage.committed
    stage.disconnect(*away)
    proposal = stage.propose(leader)
    stage.run_timeouts(4)
    assert not proposal.is_done
    assert stage.committed == committed
    stage.connect(*away)
    stage.agree(nodes=5)


def concurrent_starts(stage: Stage) -> None:
    """Five commands at once in one term: all are committed."""
    leader = stage.one_leader()
    proposals = [stage.propose(leader) for _ in range(5)]
    stage.cluster.wait(
        lambda: all(proposal.is_done for proposal in proposals), PATIENCE_MS, "all five"
    )


def rejoin(stage: Stage) -> None:
    """A leader that was alone comes back with entries that nobody else has."""
    stage.agree(nodes=3)
    first = stage.one_leader()
    stage.disconnect(first)
    lost = [stage.propose(first) for _ in range(3)]
    stage.agree(nodes=2)
    second = stage.one_leader()
    stage.disconnect(second)
    stage.connect(first)
    stage.agree(nodes=2)
    stage.connect(second)
    stage.agree(nodes=3)
    assert not any(proposal.is_done for proposal in lost)


def backup(stage: Stage) -> None:
    """Logs that differ in fifty entries are repaired, in a round trip for each term."""
    stage.agree(nodes=5)
    first = stage.one_leader()
    partner, *others = stage.others(first)
    stage.disconnect(*others)
    for _ in range(50):
        stage.propose(first)
    stage.run_timeouts(1)
    stage.disconnect(first, partner)
    stage.connect(*others)
    for _ in range(50):
        stage.agree(nodes=3)
    second = stage.one_leader()
    away = next(node_id for node_id in others if node_id != second)
    stage.disconnect(away)
    for _ in range(50):
        stage.propose(second)
    stage.run_timeouts(1)
    stage.disconnect(*others)
    stage.connect(first, partner, away)
    for _ in range(50):
        stage.agree(nodes=3)
    stage.connect(*stage.nodes)
    stage.agree(nodes=5)


def count(stage: Stage) -> None:
    """Few messages: to elect, for ten entries, and when nothing happens."""
    sent = stage.cluster.network.sent
    stage.one_leader()
    assert sum(sent.values()) <= 30
    before = sum(sent.values())
    leader = stage.one_leader()
    proposals = [stage.propose(leader) for _ in range(10)]
    stage.cluster.wait(lambda: all(one.is_done for one in proposals), PATIENCE_MS, "ten entries")
    assert sum(sent.values()) - before <= (10 + 1 + 3) * 3
    stage.run_ms(200)
    before = sum(sent.values())
    stage.run_ms(1_000)
    assert sum(sent.values()) - before <= 2 * 2 * 1_000 // 50 + 4


# C: persistence


def persist_1(stage: Stage) -> None:
    """All restart; the leader restarts; a follower restarts while entries are committed."""
    stage.agree(nodes=3)
    stage.restart(*stage.nodes)
    stage.agree(nodes=3)
    leader = stage.one_leader()
    stage.restart(leader)
    stage.agree(nodes=3)
    leader = stage.one_leader()
    stage.crash(leader)
    stage.agree(nodes=2)
    stage.restart(leader)
    stage.agree(nodes=3)
    follower = stage.others(stage.one_leader())[0]
    stage.crash(follower)
    stage.agree(nodes=2)
    stage.restart(follower)
    stage.agree(nodes=3)


def persist_2(stage: Stage) -> None:
    """Five times: two followers go, then the other three; different majorities come back."""
    for _ in range(5):
        stage.agree(nodes=5)
        leader = stage.one_leader()
        one, two, three, four = stage.others(leader)
        stage.crash(one, two)
        stage.agree(nodes=3)
        stage.crash(leader, three, four)
        stage.restart(one, two)
        stage.run_timeouts(1)
        stage.restart(three)
        stage.agree(nodes=3)
        stage.restart(four, leader)
    stage.agree(nodes=5)


def persist_3(stage: Stage) -> None:
    """A leader alone with one follower, which crashes; the leader restarts."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    one, two = stage.others(leader)
    stage.disconnect(two)
    stage.agree(nodes=2)
    stage.crash(leader, one)
    stage.connect(two)
    stage.restart(leader)
    stage.agree(nodes=2)
    stage.restart(one)
    stage.agree(nodes=3)


def figure_8(stage: Stage) -> None:
    """Leaders crash again and again with entries half replicated: nothing commits by counting old terms."""
    for _ in range(80):
        for node in stage.cluster.up():
            if node.is_leader:
                stage.propose(node.node_id)
        timeout_ms = stage.cluster.options.config.election_timeout_ms
        stage.run_ms(stage.random.randrange(timeout_ms if stage.random.random() < 0.1 else 13))
        leader = stage.cluster.leader()
        if leader is not None:
            stage.crash(leader)
        if len(stage.cluster.up()) < 3:
            down = [n for n in stage.nodes if not stage.cluster.nodes[n].is_up]
            stage.restart(stage.random.choice(down))
        if stage.cluster.leader() is None:
            stage.run_timeouts(2)


def unreliable_agree(stage: Stage) -> None:
    """Agreement over a network that loses, with many commands at once."""
    for _ in range(20):
        leader = stage.one_leader()
        for _ in range(4):
            stage.propose(leader)
        stage.agree(nodes=1)
    stage.agree(nodes=5)


def figure_8_unreliable(stage: Stage) -> None:
    """Figure 8 with cut links instead of crashes, over a network that loses and delays by seconds."""
    away: list[NodeId] = []
    for _ in range(150):
        for node in stage.cluster.up():
            stage.propose(node.node_id)
        stage.run_ms(stage.random.randrange(150 if stage.random.random() < 0.1 else 13))
        leader = stage.cluster.leader()
        if leader is not None and leader not in away and stage.random.random() < 0.5:
            stage.disconnect(leader)
            away.append(leader)
        if len(away) > 2:
            back = stage.random.choice(away)
            away.remove(back)
            stage.connect(back)
        if stage.cluster.leader() is None:
            stage.run_timeouts(1)


def churn(stage: Stage) -> None:
    """Clients work while nodes are cut off, crash and come back; every answered value stays."""
    for _ in range(40):
        for node in stage.cluster.up():
            stage.propose(node.node_id)
        node_id = stage.random.choice(stage.nodes)
        what = stage.random.random()
        if what < 0.2:
            stage.disconnect(node_id)
        elif what < 0.6:
            stage.connect(*stage.nodes)
        elif what < 0.8:
            stage.crash(node_id)
        elif not stage.cluster.nodes[node_id].is_up:
            stage.restart(node_id)
        stage.run_ms(stage.random.randrange(700))


# D: snapshots


def snapshot_basic(stage: Stage) -> None:
    """The log is trimmed behind checkpoints."""
    for _ in range(4):
        for _ in range(20):
            stage.agree(nodes=3)
        stage.run_ms(2_500)
    for node in stage.cluster.up():
        assert node.state.log.last_index - node.state.log.snapshot_index < 40


def snapshot_install(stage: Stage, *, crashes: bool = False) -> None:
    """A follower that is away for long gets a snapshot."""
    for _ in range(3):
        leader = stage.one_leader()
        victim = stage.others(leader)[0]
        if crashes:
            stage.crash(victim)
        else:
            stage.disconnect(victim)
        for _ in range(15):
            stage.agree(nodes=2)
        stage.run_ms(2_500)
        if crashes:
            stage.restart(victim)
        else:
            stage.connect(victim)
        stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["checkpoint: restored"] >= 2


def snapshot_install_crash(stage: Stage) -> None:
    """A follower that crashes, and stays down for long, gets a snapshot."""
    snapshot_install(stage, crashes=True)


def snapshot_all_crash(stage: Stage) -> None:
    """All restart from a checkpoint and the log after it."""
    for _ in range(3):
        for _ in range(10):
            stage.agree(nodes=3)
        stage.run_ms(stage.random.randrange(2_500))
        committed = stage.committed
        stage.restart(*stage.nodes)
        assert stage.agree(nodes=3) > committed


def snapshot_init(stage: Stage) -> None:
    """Snapshot, restart, one command, restart, one command."""
    for _ in range(10):
        stage.agree(nodes=3)
    stage.run_ms(2_500)
    for _ in range(2):
        stage.restart(*stage.nodes)
        stage.agree(nodes=3)
