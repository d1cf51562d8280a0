"""The pictures of the paper and of the thesis, on the production code."""

from raftwerk.replica.failure import Failure
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage

FIGURE_7 = {
    1: "1 1 1 4 4 5 5 6 6 6",
    2: "1 1 1 4 4 5 5 6 6",
    3: "1 1 1 4",
    4: "1 1 1 4 4 5 5 6 6 6 6",
    5: "1 1 1 4 4 5 5 6 6 6 7 7",
    6: "1 1 1 4 4 4 4",
    7: "1 1 1 2 2 2 3 3 3 3 3",
}
"""Node 1 is the leader at the top; 2 to 7 are the followers (a) to (f)."""


def figure_6(stage: Stage) -> None:
    """Five logs of different length: the entry at 7 is committed, being on a majority; commit indexes follow."""
    logs = ("1 1 1 2 3 3 3 3", "1 1 1 2 3", "1 1 1 2 3 3 3 3", "1 1", "1 1 1 2 3 3 3")
    for node_id, terms in zip(stage.nodes, logs, strict=True):
        stage.prepare(node_id, terms, current_term=3)
    stage.begin()
    leader = stage.one_leader()
    assert leader in (1, 3), "only they have all committed entries and the longest log"
    stage.cluster.wait(
        lambda: all(stage.commit_index(node) >= 9 for node in stage.nodes), PATIENCE_MS, "commit 9"
    )
    assert {stage.terms(node)[: len(logs[0])] for node in stage.nodes} == {logs[0]}


def figure_7(stage: Stage) -> None:
    """Every follower's log becomes the leader's, in few round trips: one for each term that conflicts."""
    for node_id, terms in FIGURE_7.items():
        stage.prepare(node_id, terms, current_term=7 if node_id == 5 else int(terms[-1]))
    stage.begin()
    stage.cluster.nodes[1].state.leader_silent_ms = 0
    stage.elect(1)
    stage.run_ms(2)
    for _ in range(5):
        if stage.leaders():
            break
        stage.elect(1)
        stage.run_ms(20)
    leader = stage.one_leader()
    assert leader == 1
    stage.agree(nodes=7)
    assert {stage.terms(node) for node in stage.nodes} == {stage.terms(1)}
    assert stage.terms(1).startswith(FIGURE_7[1])
    # (f) has the terms 2 and 3 where the leader has others; nobody else conflicts in more than one term
    assert stage.cluster.network.sent["AppendEntriesReply"] <= 7 * 6


def figure_8_c(stage: Stage) -> None:
    """An entry of term 2 reaches a majority in term 4, but is not committed by that; term 3 replaces it."""
    for node_id, terms in enumerate(("1 2", "1 2", "1", "1", "1 3"), 1):
        stage.prepare(node_id, terms, current_term=3)
    stage.begin()
    stage.disconnect(4, 5)
    stage.elect(1)
    durable = stage.cluster.checks.durability
    stage.cluster.wait(
        lambda: durable.log_of(3).terms == [1, 2], PATIENCE_MS, "node 3 has the entry of term 2"
    )
    assert stage.cluster.nodes[1].is_leader
    assert stage.committed < 2, "on a majority, but of an older term"
    stage.crash(1)
    stage.connect(4, 5)
    stage.elect(5)
    assert stage.one_leader() == 5
    stage.agree(nodes=4)
    assert stage.terms(5).startswith("1 3")
    stage.restart(1)
    stage.agree(nodes=5)


def figure_8_e(stage: Stage) -> None:
    """Once an entry of term 4 is on a majority, the one of term 2 is committed with it, and term 3 cannot win."""
    for node_id, terms in enumerate(("1 2", "1 2", "1", "1", "1 3"), 1):
        stage.prepare(node_id, terms, current_term=3)
    stage.begin()
    stage.disconnect(5)
    stage.elect(1)
    stage.agree(nodes=4)
    assert stage.terms(1).startswith("1 2")
    stage.crash(1)
    stage.connect(5)
    stage.elect(5)
    assert stage.one_leader() != 5
    stage.restart(1)
    stage.agree(nodes=5)
    assert stage.terms(5).startswith("1 2")


def figure_10(stage: Stage) -> None:
    """While old and new voters are in force together, the majority of one alone decides nothing (thesis 4.3)."""
    stage.agree(nodes=5)
    stage.disconnect(4, 5)  # the new voters 3, 4, 5 have no majority
    stage.no_leader()
    committed = stage.committed
    stage.connect(4, 5)
    stage.disconnect(1, 2)  # the old voters 1, 2, 3 have none
    stage.no_leader()
    assert stage.committed == committed
    stage.connect(1, 2)
    stage.agree(nodes=5)


def split_votes(stage: Stage) -> None:
    """Four nodes lose their leader at one moment, and time out together: randomized timeouts find a new one."""
    for _ in range(10):
        leader = stage.one_leader()
        stage.disconnect(leader)
        for node_id in stage.others(leader):
            stage.cluster.nodes[node_id].pause(5 * 300_000)
        stage.run_timeouts(5)
        stage.one_leader()
        stage.connect(leader)


def figure_12(stage: Stage) -> None:
    """A lagging follower gets the snapshot in chunks, and the entries after it; its own log is gone (Figure 13)."""
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    stage.disconnect(victim)
    for _ in range(20):
        stage.agree(nodes=2, size=40_000)
    stage.run_ms(2_500)
    for _ in range(3):
        stage.agree(nodes=2)
    before = stage.cluster.network.sent["InstallSnapshot"]
    stage.connect(victim)
    stage.agree(nodes=3)
    assert stage.cluster.network.sent["InstallSnapshot"] - before >= 4, "three chunks and the end"
    state = stage.cluster.nodes[victim].state
    assert 0 < state.log.snapshot_index < state.log.last_index


def deposed_leader(stage: Stage) -> None:
    """A leader that was replaced, and does not know, answers no read (section 8)."""
    old = stage.one_leader()
    stage.disconnect(old)
    stage.cluster.nodes[old].pause(2_000_000)
    answers: list[object] = []
    stage.run_timeouts(3)
    stage.agree(nodes=2)
    stage.cluster.nodes[old].read(answers.append)
    stage.run_ms(10_000)
    assert answers == [Failure.NO_LEADER]


def command_once(stage: Stage) -> None:
    """The network repeats everything: each command is in the log once (the checkers count)."""
    for _ in range(50):
        for node_id in stage.nodes:
            stage.propose(node_id)
        stage.run_ms(20)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["network: duplicated"] > 100


def downtime(stage: Stage) -> None:
    """A leader's process dies: others lead within a fraction of the election timeout (the connection tells)."""
    for _ in range(10):
        leader = stage.one_leader()
        stage.agree(nodes=3)
        start_us = stage.cluster.world.now_us
        stage.crash(leader)
        stage.one_leader()
        gone_us = stage.cluster.world.now_us - start_us
        assert gone_us < stage.cluster.options.config.election_timeout_ms * 1000
        stage.restart(leader)
