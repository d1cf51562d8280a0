"""Section 8: client interaction. A new leader's no-op, and no stale reads."""

from raftwerk.raft.effects import ReadReady, Refusal, Refused
from raftwerk.raft.types import EntryKind
from tests.raft.builder import CONFIG, append_entries, node
from tests.raft.cluster import Cluster


def test_term_begins_with_a_no_op() -> None:
    """P8.1: the leader's first entry, of its own term, with no command."""
    leader = node(1, term=3, log="1 2", role="leader")
    no_op = leader.entries[-1]
    assert (no_op.index, no_op.term, no_op.kind, no_op.command) == (3, 3, EntryKind.NO_OP, b"")


def test_no_op_commits_what_older_leaders_left() -> None:
    """P8.1: without a client's command, the entries of older terms would wait for ever."""
    leader = node(1, term=3, log="1 2", role="leader")
    effects = leader.ack(2, 3)
    assert [entry.index for entry in effects.committed] == [1, 2, 3]


def test_deposed_leader_refuses_the_reads_that_wait() -> None:
    """P8.2: those whose round was under way, and those that had not begun."""
    leader = node(1, term=3, log="3", commit=1, role="leader")
    leader.read(request=5)
    effects = leader.receive(2, append_entries(4, 2, prev=(1, 3)))
    assert effects.refused == [Refused(5, Refusal.NOT_LEADER)]
    assert not effects.reads


def test_read_that_waits_for_the_first_commit_is_refused_too() -> None:
    """P8.2: a leader that was never able to commit knows nothing."""
    leader = node(1, term=3, log="1", role="leader")
    leader.read(request=5)
    effects = leader.receive(2, append_entries(4, 2, prev=(1, 1)))
    assert effects.refused == [Refused(5, Refusal.NOT_LEADER)]


def test_leader_that_was_cut_off_gives_no_stale_answer() -> None:
    """P8.2: while a new leader commits, the old one answers no read; when it notices, it refuses."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.propose(1, b"old")
    cluster.deliver()
    cluster.partition({1}, {2, 3})
    cluster.elect(2, 3)
    cluster.propose(2, b"new")
    cluster.deliver()
    assert cluster.is_leader(1)
    assert cluster.commands(2) == [b"old", b"new"]
    request = cluster.read(1)
    cluster.run(CONFIG.election_timeout_ms // 2)
    assert not cluster.seen(1, lambda effects: effects.reads)
    cluster.run(CONFIG.election_timeout_ms)
    assert not cluster.seen(1, lambda effects: effects.reads)
    assert cluster.seen(1, lambda effects: effects.refused) == [
        Refused(request, Refusal.NOT_LEADER)
    ]


def test_leader_that_was_cut_off_is_not_confirmed_after_the_partition_heals() -> None:
    """P8.2: the others answer the old round in their new term, which deposes it."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.partition({1}, {2, 3})
    cluster.elect(2, 3)
    cluster.propose(2, b"new")
    cluster.deliver()
    cluster.heal()
    request = cluster.read(1)
    cluster.deliver()
    assert not cluster.seen(1, lambda effects: effects.reads)
    assert cluster.seen(1, lambda effects: effects.refused) == [
        Refused(request, Refusal.NOT_LEADER)
    ]


def test_new_leader_reads_what_the_old_one_committed() -> None:
    """P8.1 and P8.2: the read waits for the no-op, and sees all before it."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.propose(1, b"x")
    cluster.deliver(1, 2)
    cluster.crash(1)
    cluster.elect(2, 3)
    request = cluster.read(2)
    assert not cluster.seen(2, lambda effects: effects.reads)
    cluster.deliver()
    assert cluster.seen(2, lambda effects: effects.reads) == [ReadReady(request, 3)]
    assert cluster.commands(2) == [b"x"]
