"""What a disk holds when a node starts again: its vote, a torn write, a flipped bit, a snapshot ahead of the log."""

from collections.abc import Callable
from typing import Final

from raftwerk.raft.messages import AppendEntriesReply, InstallSnapshot, RequestVote
from raftwerk.raft.types import NodeId
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage

STALLED: Final = 100_000
"""A slowdown with which each write takes the longest time that there is: three seconds."""


def a_voter_starts_again(stage: Stage) -> None:
    """A node votes, starts again, and is asked by another candidate of the same term: it has voted (section 5.2)."""
    stage.agree(nodes=3)
    voter = stage.one_leader()
    first, second = stage.others(voter)
    network, nodes = stage.cluster.network, stage.cluster.nodes
    nodes[voter].receive(first, AppendEntriesReply(stage.term(voter) + 1, False, 0))
    stage.run_ms(20)  # it knows the term before anybody asks for its vote
    network.cut([(first, second), (second, first), (second, voter)])
    stage.elect(second)
    stage.make_leader(first)
    assert stage.term(second) == stage.term(first)
    stage.restart(voter)
    state = nodes[second].state
    late = RequestVote(state.current_term, second, state.log.last_index, state.log.last_term)
    nodes[voter].receive(second, late)
    stage.run_ms(50)
    assert not nodes[second].is_leader
    network.join([(first, second), (second, first), (second, voter)])
    stage.agree(nodes=3)


def a_torn_write(stage: Stage) -> None:
    """The power goes in the middle of long writes: what is torn is cut off, and never stands behind what is written next."""
    marks = stage.cluster.coverage.counts
    for _ in range(80):
        if marks["start: torn tail cut off"] >= 6:
            return
        stage.agree(nodes=3)
        victim = stage.one_leader()
        stage.disconnect(victim)
        stage.cluster.nodes[victim].disk_times.slowdown = STALLED
        stage.propose(victim, size=20_000)
        stage.run_ms(1)
        stage.crash(victim)
        stage.cluster.nodes[victim].disk_times.slowdown = 1
        stage.connect(victim)
        stage.agree(nodes=2)
        for _ in range(2):
            stage.restart(victim)
            stage.agree(nodes=3)
    raise AssertionError("the power went eighty times, and hardly anything was torn")


def a_heartbeat_meets_writes_under_way(stage: Stage) -> None:
    """A follower's disk is slow, and one write waits for another: what it acknowledges meanwhile is durable, and no more."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    follower = stage.cluster.nodes[stage.others(leader)[0]]
    follower.disk_times.slowdown = 100
    for _ in range(20):
        stage.propose(leader)
        stage.run_ms(20)
    follower.disk_times.slowdown = 1
    stage.agree(nodes=3)


def a_flipped_bit(stage: Stage) -> None:
    """A bit of a value flips while its node is down: the node does not start with it; a copy of the disk is restored."""
    for _ in range(3):
        stage.agree(nodes=3, size=100)
    node = stage.cluster.nodes[stage.others(stage.one_leader())[0]]
    stage.crash(node.node_id)
    node.backup = node.disk.copy_files()
    (data,) = [data for data in node.disk.files.values() if b" " * 90 in data]
    data[data.index(b" " * 90) + 50] ^= 1
    stage.restart(node.node_id)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["start: damage refused"] == 1


def a_write_fails(stage: Stage) -> None:
    """A write fails on a follower's disk: the node ends with it, and starts again from what is really there."""
    stage.agree(nodes=3)
    leader = stage.one_leader()
    victim = stage.others(leader)[0]
    stage.cluster.nodes[victim].disk.fails = True
    for _ in range(3):
        stage.propose(leader, size=2_000)
        stage.run_ms(20)
    assert stage.cluster.coverage.counts["disk: write failed"] == 1
    stage.restart(victim)
    stage.agree(nodes=3)


def many_segments(stage: Stage) -> None:
    """Segments are removed behind checkpoints while more is written; what a node needs to start again is always left."""
    nodes = stage.cluster.nodes.values()
    for _ in range(3):
        leader = stage.one_leader()
        for node in nodes:
            node.disk_times.slowdown = 50
        for _ in range(250):
            stage.propose(leader, size=600)
            stage.run_ms(10)
        for node in nodes:
            node.disk_times.slowdown = 1
        stage.restart(*stage.nodes)
        stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["wal: segments removed"] > 3


def a_full_disk(stage: Stage) -> None:
    """When all disks are full, one leads on, for reads. When the leader's is, it hands over (thesis 3.10), and writes go on."""
    nodes = stage.cluster.nodes
    stage.agree(nodes=3)
    for node in nodes.values():
        node.disk.is_full = True
    _write_until(stage, lambda: not any(node.state.has_room for node in nodes.values()))
    leader, term = stage.one_leader(), stage.term(stage.one_leader())
    stage.run_timeouts(6)
    assert (stage.one_leader(), stage.term(leader)) == (leader, term)
    answers = stage.read(leader)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")
    assert answers == [None]
    for node in nodes.values():
        node.disk.is_full = False
    stage.agree(nodes=3)
    full = stage.one_leader()
    nodes[full].disk.is_full = True
    _write_until(stage, lambda: stage.one_leader() != full)
    for _ in range(10):
        stage.agree(nodes=2, size=500)
    nodes[full].disk.is_full = False
    stage.agree(nodes=3)


def _write_until(stage: Stage, is_reached: Callable[[], bool]) -> None:
    for _ in range(200):
        if is_reached():
            return
        stage.propose(stage.one_leader(), size=100)
        stage.run_ms(20)
    raise AssertionError("two hundred writes were not enough")


def _deposed_with_writes_under_way(stage: Stage) -> NodeId:
    """A leader is cut off with a stalled disk: most of its last entries are still on their way there when others lead."""
    stage.agree(nodes=3)
    old = stage.one_leader()
    stage.disconnect(old)
    stage.cluster.nodes[old].disk_times.slowdown = STALLED
    for _ in range(3):
        for _ in range(20):
            stage.propose(old)
        stage.run_ms(1)
    for _ in range(5):
        stage.agree(nodes=2)
    stage.run_ms(3_500)
    stage.cluster.nodes[old].disk_times.slowdown = 1
    return old


def _install_at_once(stage: Stage, node_id: NodeId) -> None:
    """The node gets a whole snapshot in one message, and installs it before its log has written anything more."""
    leader = stage.one_leader()
    position, stream = stage.snapshot(leader)
    whole = InstallSnapshot(
        stage.term(leader),
        leader,
        position.last_index,
        position.last_term,
        position.membership,
        0,
        stream,
        done=True,
    )
    log = stage.cluster.checks.durability.log_of(node_id)
    before = log.current_term, log.last_index
    stage.cluster.nodes[node_id].receive(leader, whole)
    marks = stage.cluster.coverage.counts
    stage.cluster.wait(lambda: marks["checkpoint: restored"] > 0, PATIENCE_MS, "it is installed")
    assert (log.current_term, log.last_index) == before
    assert log.current_term < position.last_term


def a_snapshot_overtakes_the_log(stage: Stage) -> None:
    """Writes that a snapshot made void are still under way when it is installed: they vouch for nothing of the new log."""
    old = _deposed_with_writes_under_way(stage)
    _install_at_once(stage, old)
    stage.connect(old)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["wal: reset to a snapshot"] == 1


def a_truncation_overtakes_the_log(stage: Stage) -> None:
    """Writes of entries that a new leader replaces are still under way then: they vouch for nothing of what replaced them."""
    old = _deposed_with_writes_under_way(stage)
    before = stage.last_index(old)
    stage.connect(old)
    stage.cluster.wait(lambda: stage.last_index(old) < before, PATIENCE_MS, "they are replaced")
    stage.agree(nodes=3)


def a_crash_before_the_log_follows(stage: Stage) -> None:
    """A node installs a snapshot, and loses its power before its log knows the snapshot's term: the store tells it."""
    old = _deposed_with_writes_under_way(stage)
    _install_at_once(stage, old)
    stage.restart(old)
    stage.connect(old)
    stage.agree(nodes=3)
    assert stage.cluster.coverage.counts["start: log superseded by a snapshot"] == 1
