"""The scenarios of the university course on the replicated key-value store: clients at work, and what breaks meanwhile.

They differ in a few facts (Course); the play is one: clients work, nodes are partitioned or crash, everything is mended, and
the history of all clients must be linearizable.
"""

from dataclasses import dataclass

from raftwerk.kv.commands import Compact, encode
from raftwerk.kv.machine import KvMachine
from raftwerk.sim.checkers import linearizability, require
from raftwerk.sim.scenarios.stage import Stage
from raftwerk.sim.workload import Workload


@dataclass(frozen=True, slots=True)
class Course:
    """What happens in one scenario. crashes: all nodes, at once. rounds: of two seconds each."""

    partitions: bool = False
    crashes: bool = False
    rounds: int = 3


def play(stage: Stage, course: Course) -> None:
    """Clients at work for some rounds."""
    stage.one_leader()
    workload = Workload(stage.cluster)
    workload.start()
    for _ in range(course.rounds):
        for _ in range(4 if course.partitions else 1):
            if course.partitions:
                _repartition(stage)
            stage.run_ms(2_000 // (4 if course.partitions else 1))
        if course.crashes:
            stage.crash(*stage.nodes)
            stage.run_timeouts(1)
            stage.restart(*stage.nodes)
    workload.stop()
    stage.finish()
    stage.run_ms(6_000)
    check_history(stage, workload)
    done = stage.cluster.coverage.counts["answer: ok"]
    assert done > 10 * course.rounds, f"only {done} operations went through"


def check_history(stage: Stage, workload: Workload) -> None:
    """The history of all clients is linearizable."""
    stage.cluster.checks.answers.find(workload.history.operations)
    undecided = linearizability.check(workload.history)
    require(not undecided, "Linearizability", "the search gave up")


def _repartition(stage: Stage) -> None:
    """Any two groups of nodes."""
    stage.cluster.network.join_all()
    pairs = stage.cluster.pairs_of(stage.random.sample(stage.nodes, len(stage.nodes) // 2))
    if stage.random.random() < 0.8:
        stage.cluster.network.cut(pairs)
    for node_id in stage.nodes[1:]:
        stage.cluster.reset_link(stage.nodes[0], node_id)


def one_partition(stage: Stage) -> None:
    """The majority makes progress, the minority does not; what waited there is done, or is not, after all is mended."""
    leader = stage.one_leader()
    minority = [leader, stage.others(leader)[0]]
    majority = stage.others(*minority)
    stage.cluster.isolate(*minority)
    waiting = [stage.propose(node_id) for node_id in minority]
    stage.run_timeouts(4)
    assert not any(proposal.is_done for proposal in waiting)
    committed = stage.committed
    proposals = [stage.propose(node_id) for node_id in majority]
    stage.run_timeouts(4)
    assert all(proposal.is_done for proposal in proposals)
    assert stage.committed > committed
    assert not any(proposal.is_done for proposal in waiting)
    stage.finish()


def speed(stage: Stage) -> None:
    """A thousand commands, one after the other, each far under 33 ms of virtual time."""
    leader = stage.one_leader()
    start_us = stage.cluster.world.now_us
    for _ in range(1_000):
        proposal = stage.propose(leader)
        stage.cluster.wait(lambda proposal=proposal: proposal.is_done, 1_000, "an answer")  # type: ignore[misc]
    assert stage.cluster.world.now_us - start_us <= 1_000 * 33_300


def snapshot_lagging(stage: Stage) -> None:
    """A node that is left behind catches up by snapshot, and the log of the others stays short."""
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    stage.disconnect(victim)
    for _ in range(60):
        stage.agree(nodes=2)
    stage.run_ms(2_500)
    stage.agree(nodes=2)
    log = stage.cluster.nodes[leader].state.log
    assert log.last_index - log.snapshot_index < 60
    stage.connect(victim)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["checkpoint: restored"]


def snapshot_size(stage: Stage) -> None:
    """Hundreds of writes to a few keys, compacted: a snapshot holds the few keys, and the log is short."""
    leader = stage.one_leader()
    for _ in range(10):
        proposals = [stage.propose(leader) for _ in range(40)]
        stage.run_ms(200)
        assert all(proposal.is_done for proposal in proposals)
    node = stage.cluster.nodes[leader]
    assert isinstance(node.machine, KvMachine)
    answers: list[object] = []
    node.propose(encode(Compact(node.machine.revision)), answers.append)
    stage.run_ms(5_000)
    assert answers
    size_bytes = len(stage.snapshot(leader)[1])
    assert size_bytes < 20 * 200, f"{size_bytes} bytes for twenty keys"
    assert node.state.log.last_index - node.state.log.snapshot_index < 60
