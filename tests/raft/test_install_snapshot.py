"""Figure 13, the InstallSnapshot RPC: both ends."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, SendChunk
from raftwerk.raft.events import (
    Checkpointed,
    LinkOpened,
    Received,
    SnapshotInstalled,
    SnapshotRejected,
)
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    RequestVote,
    TimeoutNow,
)
from raftwerk.raft.progress import Mode
from raftwerk.raft.types import Index, Snapshot, Term
from tests.raft.builder import Node, entries, membership_entry, node, only, sent

MEMBERS = Membership((1, 2, 3))
NO_TAIL = Config(tail_entries=0)


def chunk(
    offset: int = 0,
    data: bytes = b"",
    *,
    term: Term = 3,
    leader: int = 2,
    index: Index = 9,
    last_term: Term = 2,
    membership: Membership = MEMBERS,
) -> InstallSnapshot:
    """The chunk of a snapshot at 9, or its end if there are no bytes."""
    return InstallSnapshot(
        term, leader, index, last_term, membership.encode(), offset, data, done=not data
    )


def reply(
    next_offset: int = 0, *, index: Index = 9, installed: bool = False
) -> InstallSnapshotReply:
    return InstallSnapshotReply(3, index, next_offset, installed)


def follower(log: str = "1 1", commit: Index = 1, *, slow_disk: bool = False) -> Node:
    return node(1, term=3, log=log, commit=commit, leader=2, slow_disk=slow_disk)


def receiving(log: str = "1 1", *, slow_disk: bool = False) -> Node:
    """A follower that has all of the snapshot at 9; its state machine is at work."""
    built = follower(log, slow_disk=slow_disk)
    built.receive(2, chunk(0, b"abc"), chunk(3))
    assert built.state.is_installing
    return built


# --- the receiver: chunks


def test_stale_term_is_answered_at_once_with_the_own() -> None:
    """Reply immediately if term < current_term."""
    effects = follower().receive(3, chunk(0, b"abc", term=2, leader=3))
    assert only(effects, InstallSnapshotReply, to=3) == reply(0)
    assert not effects.received_chunks


def test_first_chunk_is_stored_and_the_next_byte_asked_for() -> None:
    effects = follower().receive(2, chunk(0, b"abc"))
    assert effects.received_chunks == [chunk(0, b"abc")]
    assert only(effects, InstallSnapshotReply, to=2) == reply(3)


def test_chunk_is_a_message_of_the_leader() -> None:
    """It starts the wait anew, as AppendEntries does."""
    built = node(1, term=2, log="1 1")
    built.tick(100)
    built.receive(2, chunk(0, b"abc"))
    assert (built.state.current_term, built.state.leader_id) == (3, 2)
    assert built.state.role.elapsed_ms == 0


def test_chunk_makes_a_candidate_a_follower() -> None:
    candidate = node(1, term=3, log="1", role="candidate")
    candidate.receive(2, chunk(0, b"abc"))
    assert (candidate.role, candidate.state.leader_id) == ("Follower", 2)


@pytest.mark.parametrize(
    "again", [chunk(0, b"abc"), chunk(3, b"de"), chunk(7, b"x")], ids=["first", "second", "gap"]
)
def test_chunk_out_of_place_is_not_stored(again: InstallSnapshot) -> None:
    """Sent twice, or too early: the reply says where the stream stands."""
    built = follower()
    built.receive(2, chunk(0, b"abc"), chunk(3, b"de"))
    effects = built.receive(2, again)
    assert not effects.received_chunks
    assert only(effects, InstallSnapshotReply) == reply(5)


def test_middle_of_an_unknown_stream_is_asked_for_from_its_beginning() -> None:
    """The receiver was started again since the first chunk."""
    effects = follower().receive(2, chunk(3, b"de"))
    assert not effects.received_chunks
    assert only(effects, InstallSnapshotReply) == reply(0)


@pytest.mark.parametrize(
    "other",
    [
        chunk(0, b"xy", index=12),
        chunk(0, b"xy", last_term=3),
        chunk(0, b"xy", term=4),
        chunk(0, b"xy", term=4, leader=3),
    ],
    ids=["newer", "other-term", "leader-again", "other-leader"],
)
def test_first_chunk_of_another_stream_replaces_what_was_received(other: InstallSnapshot) -> None:
    built = follower()
    built.receive(2, chunk(0, b"abc"))
    effects = built.receive(other.leader_id, other)
    assert effects.received_chunks == [other]
    assert only(effects, InstallSnapshotReply).next_offset == 2


def test_new_term_forgets_an_unfinished_stream() -> None:
    built = follower()
    built.receive(2, chunk(0, b"abc"))
    built.receive(3, AppendEntries(4, 3, 0, 0, [], 0))
    effects = built.receive(3, chunk(3, term=4, leader=3))
    assert only(effects, InstallSnapshotReply).next_offset == 0


def test_last_chunk_is_answered_only_when_installed() -> None:
    built = follower()
    built.receive(2, chunk(0, b"abc"))
    effects = built.receive(2, chunk(3))
    assert effects.received_chunks == [chunk(3)]
    assert not effects.messages
    assert only(built.step(SnapshotInstalled(9)), InstallSnapshotReply, to=2) == reply(
        installed=True
    )


def test_chunks_that_come_while_installing_are_ignored() -> None:
    """The leader repeats the last one while it waits."""
    effects = receiving().receive(2, chunk(3), chunk(0, b"xy", index=12))
    assert not effects.messages
    assert not effects.received_chunks


def test_snapshot_of_what_is_committed_here_is_not_wanted() -> None:
    built = follower("1 1 2", commit=2)
    effects = built.receive(2, chunk(0, b"abc", index=2, last_term=1))
    assert only(effects, InstallSnapshotReply) == reply(index=2, installed=True)
    assert not effects.received_chunks


def test_committed_entries_are_vouched_for_only_when_they_are_durable() -> None:
    """A crash may still take them, and the leader would never send them again."""
    built = follower("1 1", slow_disk=True)
    built.receive(2, AppendEntries(3, 2, 2, 1, entries("2 2", first=3), 4))
    assert (built.state.commit_index, built.state.durable_index) == (4, 2)
    effects = built.receive(2, chunk(0, b"abc", index=4))
    assert not sent(effects, InstallSnapshotReply)
    assert only(built.persist(), InstallSnapshotReply) == reply(index=4, installed=True)


# --- the receiver: the whole snapshot


def test_snapshot_replaces_a_log_that_ends_before_it() -> None:
    """Discard the entire log, and reset the state machine (rules 7 and 8)."""
    built = receiving("1 1")
    effects = built.step(SnapshotInstalled(9))
    assert effects.persist is not None
    assert effects.persist.reset_to == Snapshot(9, 2, MEMBERS.encode())
    state = built.state
    assert (state.log.snapshot_index, state.log.snapshot_term, built.log) == (9, 2, "")
    assert (state.commit_index, state.last_applied, state.checkpoint_index) == (9, 9, 9)
    assert not state.is_installing


def test_snapshot_replaces_a_log_that_contradicts_it() -> None:
    built = receiving("1 1 1 1 1 1 1 1 1 1 1")
    effects = built.step(SnapshotInstalled(9))
    assert built.log == ""
    assert effects.persist is not None
    assert effects.persist.reset_to is not None


def test_log_that_goes_on_after_the_snapshot_keeps_its_entries() -> None:
    """If an existing entry has the same index and term as the last included one, retain what follows it (rule 6)."""
    built = receiving("1 1 1 1 1 1 1 1 2 2 3")
    effects = built.step(SnapshotInstalled(9))
    assert built.log == "2 3"
    assert (built.state.log.snapshot_index, effects.compact_to) == (9, 9)
    assert effects.persist is None
    assert (built.state.commit_index, built.state.last_applied) == (9, 9)


def test_installed_state_counts_as_durable_although_the_entries_were_not() -> None:
    built = follower("1 1", slow_disk=True)
    built.receive(2, AppendEntries(3, 2, 2, 1, entries("2 2 2 2 2 2 2 3", first=3), 1))
    built.receive(2, chunk(0, b"abc"), chunk(3))
    effects = built.step(SnapshotInstalled(9))
    assert built.state.durable_index == 9
    assert only(effects, InstallSnapshotReply).installed
    built.persist()
    assert built.state.durable_index == 10


def test_reset_needs_no_disk_because_the_state_machine_is_durable() -> None:
    built = receiving("1 1", slow_disk=True)
    effects = built.step(SnapshotInstalled(9))
    assert only(effects, InstallSnapshotReply).installed
    assert built.state.durable_index == 9


def test_snapshot_brings_its_membership() -> None:
    built = follower()
    grown = Membership((1, 2, 3, 4))
    built.receive(2, chunk(0, b"abc", membership=grown), chunk(3, membership=grown))
    built.step(SnapshotInstalled(9))
    assert built.state.memberships == [(9, grown)]


def test_log_goes_on_after_the_snapshot() -> None:
    built = receiving("1 1")
    built.step(SnapshotInstalled(9))
    effects = built.receive(2, AppendEntries(3, 2, 9, 2, entries("3", first=10), 10))
    assert only(effects, AppendEntriesReply).match_index == 10
    assert [entry.index for entry in effects.committed] == [10]


def test_old_write_to_the_disk_vouches_for_nothing_after_a_reset() -> None:
    """Its entries are gone from the log."""
    built = follower("1 1", slow_disk=True)
    built.receive(2, AppendEntries(3, 2, 2, 1, entries("3 3 3", first=3), 1))
    old_ticket = built.ticket
    built.receive(3, chunk(0, b"abc", term=4, leader=3), chunk(3, term=4, leader=3))
    built.step(SnapshotInstalled(9))
    assert built.ticket > old_ticket
    built.persist()
    assert built.state.durable_index == 9


# --- while the state machine is being replaced


def test_installing_node_acknowledges_the_leader_and_appends_nothing() -> None:
    built = receiving("1 1")
    effects = built.receive(2, AppendEntries(3, 2, 1, 1, entries("2 2", first=2), 3, read_round=5))
    assert only(effects, AppendEntriesReply) == AppendEntriesReply(3, True, 1, read_round=5)
    assert (built.log, built.state.commit_index) == ("1 1", 1)


def test_installing_node_does_not_campaign() -> None:
    """It could not apply what it would commit."""
    built = receiving("1 1")
    effects = built.time_out()
    assert (built.role, effects.messages) == ("Follower", [])
    built.step(SnapshotInstalled(9))
    built.time_out()
    assert built.role == "PreCandidate"


def test_installing_node_does_not_take_over() -> None:
    built = receiving("1 1")
    built.receive(2, TimeoutNow(3, 2))
    assert (built.role, built.state.current_term) == ("Follower", 3)


def test_installing_node_votes_and_keeps_what_it_has() -> None:
    """A whole snapshot is a committed state, whoever leads."""
    built = receiving("1 1")
    built.tick(1000)
    built.receive(3, RequestVote(4, 3, 10, 3))
    assert built.state.voted_for == 3
    effects = built.step(SnapshotInstalled(9))
    assert built.state.last_applied == 9
    assert only(effects, InstallSnapshotReply, to=2).term == 4


@pytest.mark.parametrize("index", [9, 12], ids=["asked-again", "of-another"])
def test_rejected_snapshot_is_asked_for_again(index: Index) -> None:
    built = receiving()
    effects = built.step(SnapshotRejected(index))
    if index == 9:
        assert only(effects, InstallSnapshotReply, to=2) == reply(0)
    assert built.state.is_installing is (index != 9)


def test_rejection_of_a_forgotten_stream_changes_nothing() -> None:
    built = follower()
    assert built.step(SnapshotRejected(9)) == Effects()


@pytest.mark.parametrize("index", [2, 8, 10], ids=["old", "before", "after"])
def test_only_the_snapshot_that_came_is_installed(index: Index) -> None:
    with pytest.raises(AssertionError):
        receiving().step(SnapshotInstalled(index))


def test_nothing_is_installed_that_did_not_come() -> None:
    with pytest.raises(AssertionError):
        follower().step(SnapshotInstalled(9))


# --- the leader


def leader_of_a_straggler(last: Index = 12) -> Node:
    """Node 1 leads term 3, has compacted up to `last` - 2, and knows that node 3 has none of it."""
    log = " ".join(["1"] * 4 + ["3"] * (last - 4))
    built = node(1, term=3, log=log, role="leader", acks={2: last}, commit=last, config=NO_TAIL)
    built.step(Checkpointed(last - 2))
    built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    assert built.leader.progress[3].mode is Mode.SNAPSHOT
    return built


def test_leader_opens_a_snapshot_for_who_needs_compacted_entries() -> None:
    built = node(1, term=3, log="1 3 3", role="leader", acks={2: 3}, commit=3, config=NO_TAIL)
    built.step(Checkpointed(3))
    effects = built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]
    assert not sent(effects, AppendEntries, to=3)


def test_leader_sends_the_byte_that_is_asked_for() -> None:
    effects = leader_of_a_straggler().receive(3, reply(700))
    assert effects.send_chunks == [SendChunk(3, 3, 9, 700)]


def test_leader_sends_a_byte_once_for_two_equal_answers() -> None:
    """Or two streams would run side by side to their end."""
    effects = leader_of_a_straggler().receive(3, reply(700), reply(700))
    assert len(effects.send_chunks) == 1


def test_leader_starts_again_when_the_receiver_does() -> None:
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    effects = built.receive(3, reply(0))
    assert effects.send_chunks == [SendChunk(3, 3, 9, 0)]


def test_leader_repeats_a_chunk_that_was_not_answered_for_an_election_timeout() -> None:
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    built.tick(500)
    built.ack(2, 12)
    assert not built.tick(499).send_chunks
    built.ack(2, 12)
    assert built.tick(1).send_chunks == [SendChunk(3, 3, 9, 700)]
    assert not built.tick(1).send_chunks


def test_leader_repeats_a_chunk_on_a_new_connection() -> None:
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    assert built.step(LinkOpened(3)).send_chunks == [SendChunk(3, 3, 9, 700)]


def test_leader_goes_on_with_the_log_when_the_snapshot_is_installed() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(3, reply(index=10, installed=True))
    assert effects.close_snapshots == [3]
    append = only(effects, AppendEntries, to=3)
    assert (append.prev_log_index, len(append.entries)) == (10, 2)
    assert built.leader.progress[3].match_index == 10


def test_leader_sends_the_next_snapshot_when_the_first_is_outdated() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(3, reply(index=8, installed=True))
    assert effects.close_snapshots == [3]
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]


def test_leader_stops_the_stream_when_the_follower_got_there_another_way() -> None:
    built = leader_of_a_straggler()
    effects = built.ack(3, 10)
    assert effects.close_snapshots == [3]
    assert built.leader.progress[3].mode is Mode.REPLICATE


def test_match_before_the_snapshot_does_not_stop_the_stream() -> None:
    built = leader_of_a_straggler()
    assert not built.ack(3, 9).close_snapshots
    assert built.leader.progress[3].mode is Mode.SNAPSHOT


def test_leader_closes_all_streams_when_it_steps_down() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(2, AppendEntries(4, 2, 12, 3, [], 12))
    assert 3 in effects.close_snapshots


def test_answer_of_any_kind_is_a_sign_of_life() -> None:
    built = leader_of_a_straggler()
    built.tick(900)
    built.receive(3, reply(700))
    built.tick(900)
    assert built.role == "Leader"


def test_answer_of_an_older_term_says_nothing() -> None:
    effects = leader_of_a_straggler().receive(3, InstallSnapshotReply(2, 9, 700, False))
    assert not effects.send_chunks


def test_answer_to_a_stream_that_is_over_says_nothing() -> None:
    built = leader_of_a_straggler()
    built.ack(3, 12)
    effects = built.receive(3, reply(700), reply(index=10, installed=True))
    assert effects.send_chunks == effects.close_snapshots == []
    assert built.leader.progress[3].match_index == 12


def test_answer_of_a_stranger_says_nothing() -> None:
    assert leader_of_a_straggler().receive(9, reply(700)).send_chunks == []


def test_answer_to_a_former_leader_says_nothing() -> None:
    assert follower().receive(3, reply(700)) == Effects()


def test_membership_in_the_log_behind_the_snapshot_stays() -> None:
    """Retained entries keep their configurations."""
    grown = Membership((1, 2, 3, 4))
    log = [*entries("1 1 1 1 1 1 1 1 2"), membership_entry(10, 2, grown)]
    built = node(1, term=3, log=log, commit=1, leader=2)
    built.step(Received(2, chunk(0, b"abc")), Received(2, chunk(3)))
    built.step(SnapshotInstalled(9))
    assert built.state.memberships == [(1, MEMBERS), (10, grown)]
