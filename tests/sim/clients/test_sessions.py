"""Writes in a session: sent again, executed once."""

from raftwerk.kv.commands import Put, encode
from raftwerk.kv.results import KvError, PutResult
from raftwerk.sim.clients.sessions import SessionChannel
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.node import LOST
from tests.sim.clients.scene import at_work


def test_writes_are_sent_again_until_they_are_answered() -> None:
    cluster, answers = Cluster(1), list[object]()
    cluster.start_all()
    leader = cluster.wait_for_leader()
    channel = SessionChannel(cluster, 1)
    channel.open(lambda: None)
    cluster.run_ms(100)
    assert channel.is_open
    pairs = cluster.isolate(leader)
    channel.call(channel.wrap(encode(Put(b"k", b"v"))), answers.append)
    cluster.run_ms(1_000)
    cluster.rejoin(pairs)
    cluster.run_ms(5_000)
    (answer,) = answers
    assert isinstance(answer, PutResult)


def test_a_write_that_nobody_answers_is_given_up() -> None:
    cluster, answers = Cluster(1), list[object]()
    channel = SessionChannel(cluster, 1)
    channel.call(encode(Put(b"k", b"v")), answers.append)
    cluster.run_ms(20_000)
    assert answers == [LOST]


def test_an_expired_session_is_over() -> None:
    channel = SessionChannel(Cluster(1), 1)
    assert channel.is_over(KvError.SESSION_EXPIRED)
    assert not channel.is_open


def test_many_sessions_push_each_other_out() -> None:
    cluster, _ = at_work(5_000, clients=8, sessions=8, leases=0)
    counts = cluster.coverage.counts
    assert counts["session: session expired"]
    assert counts["session: answered again"]


def test_sessions_are_left_open_and_their_windows_become_full() -> None:
    cluster, _ = at_work(5_000, clients=6, sessions=2, leases=0, pause_mean_us=10_000)
    counts = cluster.coverage.counts
    assert counts["session: ended idle"]
    assert counts["session: number beyond its window"]
