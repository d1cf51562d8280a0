"""Figure 13, the InstallSnapshot RPC: the receiver (test_install_snapshot_leader.py: the other end)."""

import pytest

from raftwerk.raft.effects import Effects
from raftwerk.raft.events import (
    Persisted,
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
from raftwerk.raft.types import Index, Snapshot, Term
from tests.raft.builder import Node, entries, membership_entry, node, only, sent

MEMBERS = Membership((1, 2, 3))


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


@pytest.mark.parametrize("again", [chunk(3, b"de"), chunk(7, b"x")], ids=["second", "gap"])
def test_chunk_out_of_place_is_not_stored(again: InstallSnapshot) -> None:
    """Sent twice, or too early: the reply says where the stream stands."""
    built = follower()
    built.receive(2, chunk(0, b"abc"), chunk(3, b"de"))
    effects = built.receive(2, again)
    assert not effects.received_chunks
    assert only(effects, InstallSnapshotReply) == reply(5)


def test_first_chunk_again_begins_the_stream_anew() -> None:
    """The leader opened it anew, because it could not go on where this node stands: so neither may this node."""
    built = follower()
    built.receive(2, chunk(0, b"abc"), chunk(3, b"de"))
    effects = built.receive(2, chunk(0, b"abcd"))
    assert effects.received_chunks == [chunk(0, b"abcd")]
    assert only(effects, InstallSnapshotReply) == reply(4)


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
    assert effects.compact_to == 9, "what was before it may go from the disk too"


def test_log_that_goes_on_after_the_snapshot_keeps_its_entries() -> None:
    """If an existing entry has the same index and term as the last included one, retain what follows it (rule 6)."""
    built = receiving("1 1 1 1 1 1 1 1 2 2 3")
    effects = built.step(SnapshotInstalled(9))
    assert built.log == "2 3"
    assert (built.state.log.snapshot_index, effects.compact_to) == (9, 9)
    assert effects.persist is None
    assert (built.state.commit_index, built.state.last_applied) == (9, 9)
    assert built.state.durable_index == 11


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
    """Its entries are gone from the log, and others stand in their places."""
    built = follower("1 1", slow_disk=True)
    built.receive(2, AppendEntries(3, 2, 2, 1, entries("3 3 3 3 3 3 3 3 3", first=3), 1))
    old_ticket = built.ticket
    built.receive(3, chunk(0, b"abc", term=4, leader=3), chunk(3, term=4, leader=3))
    built.step(SnapshotInstalled(9))
    built.receive(3, AppendEntries(4, 3, 9, 2, entries("4 4", first=10), 9))
    built.step(Persisted(old_ticket))
    assert (built.state.log.last_index, built.state.durable_index) == (11, 9)
    built.persist()
    assert built.state.durable_index == 11


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
    built.tick(999)
    assert built.role == "Follower", "the wait began anew"
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
    effects = built.step(SnapshotRejected(index, "no space"))
    if index == 9:
        assert only(effects, InstallSnapshotReply, to=2) == reply(0)
        assert effects.notices[0].facts["reason"] == "no space"
    assert built.state.is_installing is (index != 9)


def test_stream_that_the_log_overtakes_is_dropped_once() -> None:
    built = follower()
    assert not built.receive(2, chunk(0, b"abc")).drops_received
    new = entries("1 1 1 1 1 1 2 2", first=3)
    effects = built.receive(2, AppendEntries(3, 2, 2, 1, new, 9))
    assert effects.drops_received
    assert built.state.incoming is None
    assert not built.tick(1).drops_received


def test_stream_that_the_log_has_not_reached_is_kept() -> None:
    built = follower()
    built.receive(2, chunk(0, b"abc"))
    effects = built.receive(2, AppendEntries(3, 2, 2, 1, entries("1 1 1 1 1 1 2 2", first=3), 8))
    assert not effects.drops_received
    assert built.state.incoming is not None


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


def test_memberships_under_the_snapshot_go_and_those_behind_it_stay() -> None:
    """Retained entries keep their configurations."""
    grown, larger = Membership((1, 2, 3, 4)), Membership((1, 2, 3, 4, 5))
    log = [
        *entries("1 1 1 1"),
        membership_entry(5, 1, grown),
        *entries("1 1 1 2", 6),
        membership_entry(10, 2, larger),
    ]
    built = node(1, term=3, log=log, commit=1, leader=2)
    built.step(Received(2, chunk(0, b"abc")), Received(2, chunk(3)))
    assert built.state.memberships[0] == (1, MEMBERS)
    built.step(SnapshotInstalled(9))
    assert built.state.memberships == [(5, grown), (10, larger)]
