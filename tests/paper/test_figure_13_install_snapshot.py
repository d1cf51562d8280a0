"""Figure 13, the InstallSnapshot RPC, and section 7: log compaction."""

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, SendChunk
from raftwerk.raft.events import SnapshotInstalled, SnapshotRejected
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
)
from raftwerk.raft.types import Snapshot
from tests.raft.builder import CONFIG, Node, append_entries, node, only, sent
from tests.raft.cluster import Cluster

NO_TAIL = Config(tail_entries=0)
MEMBERSHIP = Membership((1, 2, 3)).encode()


def chunk(
    offset: int, data: bytes = b"", *, index: int = 5, term: int = 3, included_term: int = 2
) -> InstallSnapshot:
    """A chunk from node 2, the leader; one without data is the last."""
    return InstallSnapshot(term, 2, index, included_term, MEMBERSHIP, offset, data, done=not data)


def reply_to(effects: Effects) -> InstallSnapshotReply:
    return only(effects, InstallSnapshotReply, to=2)


def receive_all(follower: Node, index: int = 5, included_term: int = 2) -> Effects:
    """The whole snapshot arrives and is installed."""
    follower.receive(2, chunk(0, b"data", index=index, included_term=included_term))
    follower.receive(2, chunk(4, index=index, included_term=included_term))
    return follower.step(SnapshotInstalled(index))


def test_older_term_is_refused() -> None:
    """F2.IS.1: answered at once with the present term; nothing is stored."""
    follower = node(1, term=4)
    effects = follower.receive(2, chunk(0, b"data", term=3))
    assert reply_to(effects).term == 4
    assert not effects.received_chunks
    assert follower.state.incoming is None


def test_first_chunk_begins_a_snapshot() -> None:
    """F2.IS.2: offset 0 opens a new one."""
    follower = node(1, term=3)
    effects = follower.receive(2, chunk(0, b"data"))
    assert effects.received_chunks == [chunk(0, b"data")]
    assert follower.state.incoming is not None
    assert follower.state.incoming.last_included_index == 5


def test_snapshot_does_not_begin_in_the_middle() -> None:
    """F2.IS.2: without its first chunk there is nothing to write into; the follower asks for the beginning."""
    effects = node(1, term=3).receive(2, chunk(4, b"more"))
    assert not effects.received_chunks
    assert reply_to(effects) == InstallSnapshotReply(3, 5, 0, False)


def test_stray_chunk_does_not_disturb_the_snapshot_that_is_received() -> None:
    """F2.IS.2: only a first chunk begins another one."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data", index=5))
    assert reply_to(follower.receive(2, chunk(9, b"stray", index=8))).next_offset == 0
    effects = follower.receive(2, chunk(4, b"more", index=5))
    assert effects.received_chunks == [chunk(4, b"more", index=5)]


def test_new_leader_begins_its_own_snapshot() -> None:
    """F2.IS.2: bytes of two leaders are never mixed."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data"))
    foreign = InstallSnapshot(4, 3, 5, 2, MEMBERSHIP, 4, b"more", done=False)
    effects = follower.receive(3, foreign)
    assert not effects.received_chunks
    assert only(effects, InstallSnapshotReply, to=3).next_offset == 0


def test_chunks_are_written_at_their_offset() -> None:
    """F2.IS.3: the one expected next is stored."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data"))
    effects = follower.receive(2, chunk(4, b"more"))
    assert effects.received_chunks == [chunk(4, b"more")]
    assert reply_to(effects).next_offset == 8


def test_chunk_sent_twice_is_written_once() -> None:
    """F2.IS.3: a chunk at another offset is not stored; the answer says which one is wanted."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data"), chunk(4, b"more"))
    again = follower.receive(2, chunk(4, b"more"))
    gap = follower.receive(2, chunk(9, b"gap"))
    assert not again.received_chunks + gap.received_chunks
    assert (reply_to(again).next_offset, reply_to(gap).next_offset) == (8, 8)


def test_first_chunk_always_begins_a_new_snapshot_file() -> None:
    """F2.IS.2: also when one was half written; the leader that opened its stream anew could not go on with that."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data"), chunk(4, b"more"))
    again = follower.receive(2, chunk(0, b"data!"))
    assert again.received_chunks == [chunk(0, b"data!")]
    assert reply_to(again).next_offset == 5


def test_each_chunk_but_the_last_is_answered() -> None:
    """F2.IS.4: the answer asks for the next chunk; after the last one it waits for the state machine."""
    follower = node(1, term=3)
    assert reply_to(follower.receive(2, chunk(0, b"data"))) == InstallSnapshotReply(3, 5, 4, False)
    assert not sent(follower.receive(2, chunk(4)), InstallSnapshotReply)
    effects = follower.step(SnapshotInstalled(5))
    assert reply_to(effects) == InstallSnapshotReply(3, 5, 0, True)


def test_newer_snapshot_replaces_a_partial_one() -> None:
    """F2.IS.5: a partial snapshot with a smaller index is given up."""
    follower = node(1, term=3)
    follower.receive(2, chunk(0, b"data", index=5))
    effects = follower.receive(2, chunk(0, b"newer", index=8))
    assert effects.received_chunks == [chunk(0, b"newer", index=8)]
    assert reply_to(effects) == InstallSnapshotReply(3, 8, 5, False)


def test_installed_snapshot_is_the_checkpoint() -> None:
    """F2.IS.5: it replaces the older one, and the log before it is dropped."""
    follower = node(1, term=3, log="1 1 2 2 2 2", commit=2, config=NO_TAIL)
    follower.checkpoint(2)
    receive_all(follower)
    assert follower.state.checkpoint_index == 5
    assert follower.state.log.snapshot_index == 5


def test_entries_after_the_snapshot_are_kept() -> None:
    """F2.IS.6: a log that has the last included entry is a continuation of the snapshot."""
    follower = node(1, term=3, log="1 1 2 2 2 2 3", commit=2, leader=2)
    effects = receive_all(follower)
    assert (follower.log, follower.state.log.last_index) == ("2 3", 7)
    assert effects.compact_to == 5
    assert reply_to(effects).installed


def test_entries_that_were_kept_are_not_written_again() -> None:
    """F2.IS.6: nothing about them changes on disk."""
    follower = node(1, term=3, log="1 1 2 2 2 2 3", commit=2, leader=2)
    assert receive_all(follower).persist is None


def test_log_that_disagrees_is_discarded_whole() -> None:
    """F2.IS.7: same index, another term: what follows it is wrong too."""
    follower = node(1, term=3, log="1 1 1 1 1 1 1", commit=2, leader=2)
    effects = receive_all(follower)
    assert (follower.log, follower.state.log.last_index) == ("", 5)
    assert effects.persist is not None
    assert effects.persist.reset_to == Snapshot(5, 2, MEMBERSHIP)


def test_log_that_ends_before_the_snapshot_is_discarded() -> None:
    """F2.IS.7: and the log goes on after the snapshot."""
    follower = node(1, term=3, log="1 1", leader=2)
    receive_all(follower)
    reply = only(
        follower.receive(2, append_entries(3, 2, prev=(5, 2), new="3")), AppendEntriesReply, to=2
    )
    assert (reply.success, reply.match_index) == (True, 6)


def test_state_machine_starts_again_from_the_snapshot() -> None:
    """F2.IS.8: what the snapshot holds counts as applied; the next entry to apply is the one after it."""
    follower = node(1, term=3, log="1 1", commit=1, leader=2)
    effects = receive_all(follower)
    assert not effects.committed
    assert (follower.state.last_applied, follower.state.commit_index) == (5, 5)
    effects = follower.receive(2, append_entries(3, 2, prev=(5, 2), new="3", commit=6))
    assert [entry.index for entry in effects.committed] == [6]


def test_membership_comes_with_the_snapshot() -> None:
    """F2.IS.8: the configuration is part of the state."""
    follower = node(1, term=3, voters=(1, 2))
    receive_all(follower)
    assert follower.state.membership == Membership((1, 2, 3))


def test_rejected_snapshot_is_asked_for_again() -> None:
    """F2.IS.8: a stream that the state machine cannot use leaves everything as it was."""
    follower = node(1, term=3, log="1 1", leader=2)
    follower.receive(2, chunk(0, b"data"), chunk(4))
    effects = follower.step(SnapshotRejected(5))
    assert reply_to(effects) == InstallSnapshotReply(3, 5, 0, False)
    assert (follower.log, follower.state.last_applied) == ("1 1", 0)


def test_snapshot_of_what_is_committed_here_is_not_needed() -> None:
    """F2.IS.6: the follower got there by the log."""
    follower = node(1, term=3, log="1 1 2 2 2 2", commit=5, leader=2)
    effects = follower.receive(2, chunk(0, b"data"))
    assert not effects.received_chunks
    assert reply_to(effects) == InstallSnapshotReply(3, 5, 0, True)


def test_snapshot_that_is_not_needed_is_vouched_for_when_the_log_is_durable() -> None:
    """F2.STA.1b: the leader takes the answer for a durable match, so it waits for the disk."""
    follower = node(1, term=3, log="1 1", leader=2, slow_disk=True)
    follower.receive(2, append_entries(3, 2, prev=(2, 1), new="2 2 2", commit=5))
    assert follower.state.commit_index == 5
    assert not sent(follower.receive(2, chunk(0, b"data")), InstallSnapshotReply)
    assert reply_to(follower.persist()).installed


def test_nothing_is_appended_while_a_snapshot_is_installed() -> None:
    """F2.IS.4: the state machine is being replaced; the leader is only told that it is heard."""
    follower = node(1, term=3, log="1 1", commit=1, leader=2)
    follower.receive(2, chunk(0, b"data"), chunk(4))
    rpc = append_entries(3, 2, prev=(2, 1), new="3", commit=3)
    reply = only(follower.receive(2, rpc), AppendEntriesReply, to=2)
    assert (reply.success, reply.match_index) == (True, 1)
    assert (follower.log, follower.state.commit_index) == ("1 1", 1)


def test_checkpoint_lets_the_log_go() -> None:
    """P7.1: the entries up to the checkpoint are dropped; the term at its edge is still known."""
    leader = node(1, term=2, log="1 1 2", commit=3, role="leader", config=NO_TAIL)
    effects = leader.checkpoint(2)
    assert effects.compact_to == 2
    log = leader.state.log
    assert (leader.log, log.snapshot_index, log.snapshot_term) == ("2", 2, 1)


def test_tail_is_kept_behind_the_checkpoint() -> None:
    """P7.1: a few entries are cheaper than a snapshot, so they stay for slow followers."""
    config = Config(tail_entries=2)
    leader = node(1, term=2, log="1 1 1 2", commit=4, role="leader", config=config)
    assert leader.checkpoint(4).compact_to == 2


def lagging() -> tuple[Node, Effects]:
    """A leader that has compacted what follower 3 lacks, and has just found that out."""
    leader = node(1, term=3, log="1 1 2 2 2 3", commit=6, role="leader", config=NO_TAIL)
    leader.checkpoint(5)
    return leader, leader.receive(3, AppendEntriesReply(3, False, 0, 3, 0))


def ask(leader: Node, next_offset: int, *, installed: bool = False) -> Effects:
    return leader.receive(3, InstallSnapshotReply(3, 5, next_offset, installed))


def test_snapshot_is_sent_instead_of_entries_that_are_gone() -> None:
    """P7.2: the follower needs entry 3, the log starts after 5."""
    _, effects = lagging()
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]
    assert not sent(effects, AppendEntries, to=3)


def test_follower_with_a_snapshot_gets_the_entries_after_it() -> None:
    """P7.2: then replication goes on as usual."""
    leader, _ = lagging()
    effects = ask(leader, 0, installed=True)
    message = only(effects, AppendEntries, to=3)
    assert (message.prev_log_index, [entry.index for entry in message.entries]) == (5, [6])
    assert effects.close_snapshots == [3]


def test_chunks_go_one_after_the_other() -> None:
    """P7.3: each one when the follower asks for it."""
    leader, _ = lagging()
    assert ask(leader, 4).send_chunks == [SendChunk(3, 3, 5, 4)]
    assert not ask(leader, 4).send_chunks
    assert ask(leader, 8).send_chunks == [SendChunk(3, 3, 5, 8)]


def test_chunk_that_was_lost_is_sent_again() -> None:
    """P7.3: after an election timeout without an answer, from where the stream broke."""
    leader, _ = lagging()
    ask(leader, 4)
    leader.receive(2, AppendEntriesReply(3, True, 6))
    assert not leader.tick(CONFIG.election_timeout_ms - 1).send_chunks
    leader.receive(3, AppendEntriesReply(3, True, 0))
    assert leader.tick(1).send_chunks == [SendChunk(3, 3, 5, 4)]


def test_follower_that_was_away_catches_up_by_snapshot() -> None:
    """P7.2: end to end, with entries proposed while it is sent."""
    cluster = Cluster(3, config=NO_TAIL)
    cluster.partition({1, 2}, {3})
    cluster.elect(1, 2)
    cluster.deliver()
    cluster.propose(1, b"a", b"b", b"c")
    cluster.deliver()
    cluster.checkpoint(1)
    cluster.heal()
    cluster.propose(1, b"d")
    cluster.run(300)
    assert cluster.commands(3) == [b"a", b"b", b"c", b"d"]
    assert cluster.nodes[3].state.log.snapshot_index == 4
