"""The scenarios of the university course on the replicated state machine: what is submitted is executed everywhere, and answered.

The store's revision serves as the counter of the course: each command adds one, and its answer tells what it made it.
"""

from raftwerk.kv.results import PutResult
from raftwerk.raft.types import NodeId
from raftwerk.sim.node import LOST
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Proposal, Stage


def _submit(stage: Stage, count: int, node_id: NodeId | None = None) -> list[int]:
    """So many commands at once, at the leader or at a node. Returns the counter as each answer tells it, in order."""
    node_id = node_id or stage.one_leader()
    proposals = [stage.propose(node_id) for _ in range(count)]
    stage.cluster.wait(lambda: all(one.is_done for one in proposals), PATIENCE_MS, "all answers")
    return _counts(proposals)


def _counts(proposals: list[Proposal]) -> list[int]:
    answers = [answer for proposal in proposals for answer in proposal.answers]
    return [answer.revision for answer in answers if isinstance(answer, PutResult)]


def _everywhere(stage: Stage) -> None:
    """All nodes have executed everything, and have one state."""
    stage.agree(nodes=len(stage.nodes))
    for node_id in stage.nodes:
        assert stage.cluster.check_state(node_id)


def basic(stage: Stage) -> None:
    """What is submitted, one after the other, is executed on all replicas, and each answer is of its own command."""
    counts = [_submit(stage, 1)[0] for _ in range(10)]
    assert counts == list(range(counts[0], counts[0] + 10))
    _everywhere(stage)


def concurrent(stage: Stage) -> None:
    """Fifty are submitted at once: each gets an answer of its own."""
    counts = _submit(stage, 50)
    assert counts == list(range(counts[0], counts[0] + 50))
    _everywhere(stage)


def leader_failure(stage: Stage) -> None:
    """The leader is cut off: what is submitted to the others goes on being executed; it catches up."""
    _submit(stage, 1)
    leader = stage.one_leader()
    stage.disconnect(leader)
    _submit(stage, 10)
    stage.connect(leader)
    _everywhere(stage)


def leader_partition(stage: Stage) -> None:
    """What is submitted to a leader without a majority does not succeed, and returns once the partition is over."""
    _submit(stage, 1)
    old = stage.one_leader()
    minority = [old, stage.others(old)[0]]
    stage.cluster.isolate(*minority)
    waiting = [stage.propose(old) for _ in range(50)]
    new = stage.others(*minority)[0]
    stage.run_timeouts(4)
    _submit(stage, 1, new)
    assert not any(proposal.is_done for proposal in waiting)
    stage.cluster.heal()
    stage.cluster.wait(lambda: all(one.answers for one in waiting), PATIENCE_MS, "they return")
    assert not any(proposal.is_done for proposal in waiting)
    _everywhere(stage)


def restart_replay(stage: Stage) -> None:
    """All replicas restart: the log gives them back their state, and they count on from there."""
    counts = _submit(stage, 100)
    stage.restart(*stage.nodes)
    assert _submit(stage, 1) == [counts[-1] + 1]
    _everywhere(stage)


def shutdown(stage: Stage) -> None:
    """Whoever waits for an answer hears when the node ends."""
    leader = stage.one_leader()
    stage.disconnect(*stage.others(leader))
    waiting = [stage.propose(leader) for _ in range(20)]
    stage.run_ms(50)
    stage.crash(*stage.nodes)
    assert [proposal.answers for proposal in waiting] == [[LOST]] * 20


def restart_submit(stage: Stage) -> None:
    """After a restart, with commands of before still under way, no answer is taken for that of another command."""
    _submit(stage, 10)
    before = [stage.propose(stage.one_leader()) for _ in range(10)]
    stage.restart(*stage.nodes)
    counts = _submit(stage, 50)
    assert counts == list(range(counts[0], counts[0] + 50))
    assert not set(counts) & set(_counts(before))
    _everywhere(stage)


def snapshot(stage: Stage) -> None:
    """The state goes through snapshots: replicas that restart, or come back late, count on from there."""
    counts = _submit(stage, 30)
    late = stage.others(stage.one_leader())[0]
    stage.disconnect(late)
    counts += _submit(stage, 30)
    stage.run_ms(2_500)
    counts += _submit(stage, 1)
    stage.connect(late)
    restored = stage.cluster.coverage.counts
    stage.cluster.wait(lambda: restored["checkpoint: restored"] > 0, PATIENCE_MS, "a snapshot")
    stage.restart(*stage.nodes)
    assert _submit(stage, 1) == [counts[-1] + 1]
    _everywhere(stage)
