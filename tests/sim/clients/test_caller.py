"""A client's way to a node and back."""

from raftwerk.kv.commands import Put, encode
from raftwerk.kv.results import PutResult
from raftwerk.replica.failure import Failure
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster


def test_a_command_goes_to_a_node_that_is_up_and_is_answered() -> None:
    cluster, answers = Cluster(1), list[object]()
    cluster.start_all()
    leader = cluster.wait_for_leader()
    caller = Caller(cluster, "caller")
    for node_id in cluster.nodes:
        if node_id != leader:
            caller.send(encode(Put(b"k", b"%d" % node_id)), answers.append)
    cluster.run_ms(500)
    assert sorted(type(answer) is PutResult for answer in answers) == [True, True]
    cluster.crash(1)
    assert caller.some_node() in (2, 3)


def test_a_node_that_died_meanwhile_does_not_answer() -> None:
    cluster, answers = Cluster(1), list[object]()
    cluster.start_all()
    caller = Caller(cluster, "caller")
    caller.send(encode(Put(b"k", b"v")), answers.append)
    for node_id in cluster.nodes:
        cluster.crash(node_id)
    cluster.run_ms(10)
    assert answers == [Failure.NO_LEADER]


def test_a_stopped_client_begins_nothing() -> None:
    cluster, begun = Cluster(1), list[int]()
    caller = Caller(cluster, "caller")
    caller.pause(5_000, lambda: begun.append(1))
    cluster.run_ms(10)
    caller.pause(5_000, lambda: begun.append(2))
    caller.stop()
    cluster.run_ms(10)
    assert begun == [1]
