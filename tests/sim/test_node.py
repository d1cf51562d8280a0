"""One node: its lives, its clients, its clock."""

from raftwerk.kv.commands import Put, encode
from raftwerk.kv.results import PutResult
from raftwerk.raft.config import Config
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.journal import DiskOptions
from raftwerk.sim.node import LOST
from raftwerk.sim.options import Options
from raftwerk.wal.segment import SPARE, name_of

COMMAND = encode(Put(b"k", b"v"))


def led() -> tuple[Cluster, int]:
    cluster = Cluster(1)
    cluster.start_all()
    return cluster, cluster.wait_for_leader()


def test_a_command_is_answered_once_it_is_applied() -> None:
    cluster, leader = led()
    answers: list[object] = []
    cluster.nodes[leader].propose(COMMAND, answers.append)
    cluster.run_ms(1_000)
    assert answers == [PutResult(2, None)]


def test_a_crash_is_heard_by_those_who_wait() -> None:
    cluster, leader = led()
    answers: list[object] = []
    cluster.nodes[leader].propose(COMMAND, answers.append)
    cluster.crash(leader)
    assert answers == [LOST]
    cluster.run_ms(1_000)
    assert len(answers) == 1


def test_a_life_begins_with_what_is_durable() -> None:
    cluster, leader = led()
    cluster.nodes[leader].propose(COMMAND, lambda result: None)
    cluster.run_ms(1_000)
    last_index = cluster.nodes[leader].state.log.last_index
    cluster.crash(leader)
    cluster.nodes[leader].crash_while_starting()
    assert cluster.start(leader)
    assert cluster.nodes[leader].state.log.last_index == last_index
    assert cluster.nodes[leader].lives == 2


def test_a_crash_in_recovery_is_marked_and_nothing_else() -> None:
    cluster, leader = led()
    cluster.run_ms(1_000)
    cluster.crash(leader)
    node, marks = cluster.nodes[leader], cluster.coverage.counts
    for _ in range(10):
        node.crash_while_starting()  # there is nothing to mend, so that the power has no step at which to go
    node.disk.files[name_of(1)][20] ^= 1
    node.crash_while_starting()  # the damage is refused
    assert marks["start: crashed in recovery"] == 0
    node.disk.files[name_of(1)][20] ^= 1
    for _ in range(10):
        node.disk.files.pop(SPARE, None)
        node.crash_while_starting()
    assert marks["start: crashed in recovery"] == 10
    assert cluster.start(leader)


def test_a_paused_node_does_nothing_and_then_notices() -> None:
    cluster, leader = led()
    cluster.nodes[leader].pause(2_000_000)
    sent = cluster.nodes[leader].state.current_term
    cluster.run_ms(1_500)
    assert cluster.nodes[leader].state.current_term == sent
    cluster.run_ms(1_500)
    assert cluster.nodes[leader].state.current_term > sent


def test_an_ambush_crashes_it_when_it_does_what_is_waited_for() -> None:
    cluster, leader = led()
    cluster.nodes[leader].ambush = "persist"
    cluster.nodes[leader].propose(COMMAND, lambda result: None)
    cluster.run_ms(40)
    assert not cluster.nodes[leader].is_up
    cluster.run_ms(2_000)
    assert cluster.nodes[leader].lives == 2


def test_a_node_whose_disk_fails_stops_and_comes_back() -> None:
    cluster, leader = led()
    cluster.nodes[leader].disk.fails = True
    cluster.nodes[leader].propose(COMMAND, lambda result: None)
    cluster.run_ms(5_000)
    assert cluster.nodes[leader].lives == 2


def test_a_snapshot_that_finds_no_room_is_rejected_until_there_is_some() -> None:
    config = Config(heartbeat_interval_ms=50, election_timeout_ms=300, tail_entries=0)
    cluster = Cluster(1, Options(config=config, disk=DiskOptions(refused_chunks=1.0)))
    cluster.start_all()
    leader = cluster.wait_for_leader()
    away = next(node_id for node_id in cluster.nodes if node_id != leader)
    marks = cluster.coverage.counts
    cluster.crash(away)
    for number in range(50):
        cluster.nodes[leader].propose(encode(Put(b"%d" % number, b"v")), lambda result: None)
    cluster.run_ms(5_000)
    assert cluster.start(away)
    cluster.run_ms(2_000)
    assert marks["notice: snapshot rejected"]
    assert marks["restore: disk full"]
    assert not marks["checkpoint: restored"]
    cluster.heal()
    cluster.wait(lambda: marks["checkpoint: restored"] == 1, 20_000, "a snapshot")
