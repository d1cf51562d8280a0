"""Thesis 10.2: writing to the leader's disk in parallel, and pipelining."""

from raftwerk.raft.config import Config
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply
from tests.raft.builder import node, only, sent
from tests.raft.cluster import Cluster


def test_followers_get_entries_before_the_leaders_disk_has_them() -> None:
    """T10.2.1: the same step writes and sends."""
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1, 3: 1}, slow_disk=True)
    effects = leader.propose(b"x")
    assert effects.persist is not None
    for peer in (2, 3):
        assert [e.command for e in only(effects, AppendEntries, to=peer).entries] == [b"x"]


def test_entry_is_committed_without_the_leaders_disk() -> None:
    """T10.2.1: if a majority of the others has it."""
    leader = node(1, term=2, log="2", commit=1, role="leader", slow_disk=True)
    leader.propose(b"x")
    leader.ack(2, 2)
    assert leader.state.commit_index == 1
    leader.ack(3, 2)
    assert leader.state.commit_index == 2


def test_committed_entry_survives_the_crash_of_a_leader_that_had_not_written_it() -> None:
    """T10.2.1: end to end; the others have it, so one of them leads next."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.slow_disks = {1}
    cluster.propose(1, b"x")
    cluster.deliver()
    assert cluster.nodes[1].state.commit_index == 2
    cluster.crash(1)
    cluster.slow_disks = set()
    cluster.restart(1)
    assert cluster.nodes[1].log == "1"
    cluster.run(6000)
    assert [cluster.commands(node_id) for node_id in (1, 2, 3)] == [[b"x"]] * 3


def test_next_message_does_not_wait_for_the_answer() -> None:
    """T10.2.2: each carries what is new since the last one."""
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1})
    first = only(leader.propose(b"a"), AppendEntries, to=2)
    second = only(leader.propose(b"b"), AppendEntries, to=2)
    assert (first.prev_log_index, [e.command for e in first.entries]) == (1, [b"a"])
    assert (second.prev_log_index, [e.command for e in second.entries]) == (2, [b"b"])


def test_pipeline_is_bounded() -> None:
    """T10.2.2: with a full window, entries wait for an answer."""
    config = Config(window_messages_max=2)
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1}, config=config)
    leader.propose(b"a")
    leader.propose(b"b")
    assert not sent(leader.propose(b"c"), AppendEntries, to=2)
    assert [e.command for e in only(leader.ack(2, 2), AppendEntries, to=2).entries] == [b"c"]


def test_follower_whose_match_is_not_known_gets_one_message_at_a_time() -> None:
    """T10.2.2: the pipeline begins when the logs are known to match."""
    leader = node(1, term=2, log="1 2", role="leader")
    assert not sent(leader.propose(b"a"), AppendEntries, to=2)
    effects = leader.receive(2, AppendEntriesReply(2, True, 1))
    assert [e.index for e in only(effects, AppendEntries, to=2).entries] == [2, 3]
