"""Things that seldom meet: what chance needs thousands of seeds for, arranged."""

from raftwerk.raft.messages import AppendEntries, ForwardCommands
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage


def late_entries_meet_a_snapshot(stage: Stage) -> None:
    """Entries arrive, late, between the chunks of a snapshot that ends before them: they are kept (Figure 13, rule 6)."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    state = stage.cluster.nodes[victim].state
    stage.disconnect(victim)
    for _ in range(20):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    for _ in range(4):
        stage.agree(nodes=2)
    last_index = state.log.last_index
    late = AppendEntries(
        term=stage.term(leader),
        leader_id=leader,
        prev_log_index=last_index,
        prev_log_term=state.log.last_term,
        entries=stage.cluster.checks.committed.entries[last_index:],
        leader_commit=state.commit_index,
    )
    marks = stage.cluster.coverage.counts
    stage.connect(victim)
    stage.cluster.wait(lambda: marks["notice: receiving snapshot"] > 0, PATIENCE_MS, "a snapshot")
    stage.cluster.nodes[victim].disk_times.slowdown = 50
    stage.cluster.nodes[victim].receive(leader, late)
    stage.run_ms(2_000)
    assert stage.last_index(victim) >= late.entries[-1].index
    stage.agree(nodes=3)


def crash_meets_an_install(stage: Stage) -> None:
    """A node installs a snapshot over a log that says otherwise, and loses its power before that log is reset."""
    stage.agree(nodes=3)
    old = stage.one_leader()
    stage.disconnect(old)
    for _ in range(60):
        stage.propose(old)
    for _ in range(40):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    node = stage.cluster.nodes[old]
    node.disk_times.slowdown = 50
    node.ambush = "install"
    stage.connect(old)
    stage.cluster.wait(lambda: not node.is_up, PATIENCE_MS, "the crash")
    stage.cluster.wait(lambda: node.is_up, PATIENCE_MS, "the restart")
    node.disk_times.slowdown = 1
    stage.agree(nodes=3)


def a_copy_meets_a_former_leader(stage: Stage) -> None:
    """A leader took in a command and stepped down; a copy of the request arrives: it must not say that nothing was done."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    asker, third = stage.others(leader)
    network, nodes = stage.cluster.network, stage.cluster.nodes
    stage.disconnect(third)
    network.cut([(leader, asker)])
    stage.run_ms(250)
    last_index = stage.last_index(leader)
    proposal = stage.propose(asker)
    stage.cluster.wait(lambda: stage.last_index(leader) > last_index, 100, "it is taken in")
    ((request_id, _),) = nodes[asker].state.remote.forwards.items()
    taken = nodes[leader].state.log.slice(last_index + 1, last_index + 2)
    copy = ForwardCommands(stage.term(leader), request_id, [taken[0].command])
    stage.cluster.wait(lambda: not nodes[leader].is_leader, 1_000, "the leader steps down")
    network.join([(leader, asker)])
    nodes[leader].receive(asker, copy)
    stage.run_ms(3_000)
    assert len(proposal.answers) == 1
