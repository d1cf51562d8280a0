"""The pictures of the paper and of the thesis, on the production code."""

from raftwerk.raft.messages import TimeoutNow
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
    stage.cluster.nodes[1].receive(2, TimeoutNow(7, 2))
    assert stage.one_leader() == 1
    stage.agree(nodes=7)
    assert {stage.terms(node) for node in stage.nodes} == {stage.terms(1)}
    assert stage.terms(1).startswith(FIGURE_7[1])
    # (f) has the terms 2 and 3 where the leader has others; nobody else conflicts in more than one term
    assert stage.cluster.network.sent["AppendEntriesReply"] <= 7 * 8


def figure_8_c(stage: Stage) -> None:
    """An entry of term 2 reaches a majority in term 4, but is not committed by that; term 3 replaces it."""
    for node_id, terms in enumerate(("1 2", "1 2", "1", "1", "1 3"), 1):
        stage.prepare(node_id, terms, current_term=3)
    stage.begin()
    stage.disconnect(4, 5)
    stage.make_leader(1)
    stage.disconnect(3)
    stage.cluster.wait(lambda: stage.matches(1, 2) >= 2, PATIENCE_MS, "node 2 matches")
    stage.connect(3)
    stage.cluster.wait(lambda: stage.last_index(3) == 2, PATIENCE_MS, "node 3 has it")
    stage.cluster.network.cut([(1, 3)])  # the entry of term 4 does not reach it
    stage.cluster.wait(lambda: stage.matches(1, 3) == 2, PATIENCE_MS, "node 3 matches")
    assert stage.committed < 2, "on a majority, but of an older term"
    stage.disconnect(1)
    stage.connect(2, 4, 5)
    stage.cluster.nodes[5].receive(1, TimeoutNow(4, 1))
    assert stage.one_leader() == 5
    stage.agree(nodes=4)
    assert stage.terms(5).startswith("1 3")
    stage.connect(1)
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


def figure_9(stage: Stage) -> None:
    """Who would lead needs the vote of a node that has the committed entry, and does not get it (section 5.4.3)."""
    first = stage.one_leader()
    stage.agree(nodes=5)
    behind = stage.others(first)[2:]
    stage.disconnect(*behind)
    stage.agree(nodes=3)
    committed = stage.terms(first)
    stage.crash(first)
    stage.connect(*behind)
    for _ in range(4):
        for node_id in behind:
            stage.elect(node_id)
            stage.run_ms(50)
            assert not stage.cluster.nodes[node_id].is_leader
    assert stage.one_leader() not in behind
    stage.restart(first)
    stage.agree(nodes=5)
    assert all(stage.terms(node_id).startswith(committed) for node_id in stage.nodes)


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
    answers: list[object] = []
    for _ in range(2):
        stage.cluster.nodes[old].read(answers.append)
        stage.run_ms(50)
    assert answers == [None, None], "while it leads, it answers"
    stage.disconnect(old)
    stage.cluster.nodes[old].pause(2_000_000)
    stage.run_timeouts(3)
    stage.agree(nodes=2)
    stage.cluster.nodes[old].read(answers.append)
    stage.run_ms(10_000)
    assert answers[2:] in ([Failure.NO_LEADER], [Failure.TIMED_OUT])


def command_once(stage: Stage) -> None:
    """The network repeats everything: each command is in the log once (the checkers count)."""
    for _ in range(50):
        for node_id in stage.nodes:
            stage.propose(node_id)
        stage.run_ms(20)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["network: duplicated"] > 100


def older_log_loses(stage: Stage) -> None:
    """A long log does not win against a later last term (section 5.4.1)."""
    stage.prepare(1, "1 1 1 1 1 1", current_term=2)
    for node_id in stage.others(1):
        stage.prepare(node_id, "1 2", current_term=2)
    stage.begin()
    for _ in range(3):
        stage.elect(1)
        stage.run_ms(20)
    assert stage.one_leader() != 1
    stage.agree(nodes=5)
    assert stage.terms(1).startswith("1 2 ")


def half_a_batch(stage: Stage) -> None:
    """A leader is lost while it replicates three commands: two are committed by the next leader, the third is not."""
    old = stage.one_leader()
    stage.agree(nodes=3)
    first, second = stage.others(old)
    stage.disconnect(second)
    last_index = stage.last_index(old)
    stage.cluster.nodes[old].disk_times.slowdown = 1_000
    proposals = [stage.propose(old) for _ in range(3)]
    durable = stage.cluster.checks.durability.log_of(first)
    stage.cluster.wait(lambda: durable.last_index > last_index, PATIENCE_MS, "two are there")
    stage.disconnect(old)
    stage.connect(second)
    for _ in range(3):
        stage.agree(nodes=2)
    stage.connect(old)
    stage.run_ms(50)
    # Its disk was slow: it hears of everything at once
    stage.cluster.nodes[old].pause(6_000_000)
    stage.run_ms(6_500)
    assert [proposal.is_done for proposal in proposals] == [True, True, False]
    assert proposals[2].answers == [Failure.NOT_COMMITTED]


def snapshot_over_another_log(stage: Stage) -> None:
    """A leader that was alone has many entries that nobody else has, and gets a snapshot over them (Figure 13, rule 7)."""
    for node_id in stage.nodes:
        stage.agree(nodes=3, size=node_id)
    old = stage.one_leader()
    stage.disconnect(old)
    for _ in range(60):
        stage.propose(old)
    for _ in range(40):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    assert stage.cluster.nodes[stage.one_leader()].state.log.snapshot_index > 10
    stage.connect(old)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["wal: reset to a snapshot"]


def full_disk_then_snapshot(stage: Stage) -> None:
    """A follower's disk is full, then it is away and gets a snapshot: it takes proposals again."""
    victim = stage.others(stage.one_leader())[0]
    disk = stage.cluster.nodes[victim].disk
    disk.is_full = True
    for _ in range(5):
        stage.agree(nodes=3)
    stage.run_ms(3_000)
    assert stage.cluster.coverage.counts["checkpoint: disk full"]
    stage.disconnect(victim)
    for _ in range(40):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    disk.is_full = False
    stage.connect(victim)
    installed = stage.cluster.coverage.counts
    stage.cluster.wait(lambda: installed["checkpoint: restored"] > 0, PATIENCE_MS, "a snapshot")
    stage.run_ms(3_000)
    proposal = stage.propose(victim)
    stage.run_ms(500)
    assert proposal.is_done


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
