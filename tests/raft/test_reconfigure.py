"""Membership in the log: adopted when its entry is appended, rolled back when that entry is truncated (thesis 4.1)."""

import pytest

from raftwerk.raft.effects import Effects
from raftwerk.raft.events import SnapshotInstalled
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries, InstallSnapshot
from raftwerk.raft.reconfigure import adopt, membership_at, reset
from raftwerk.raft.types import Entry
from tests.raft.builder import Node, entries, membership_entry, node

MEMBERS = Membership((1, 2, 3))
GROWN = Membership((1, 2, 3, 4))
LARGER = Membership((1, 2, 3, 4, 5))


def follower() -> Node:
    return node(1, term=3, log="1 1", leader=2)


def append(built: Node, *new: Entry, term: int = 3) -> Effects:
    """From the leader of `term`, after the first of the new entries' predecessor."""
    prev = new[0].index - 1
    prev_term = built.state.log.term_at(prev)
    return built.receive(2, AppendEntries(term, 2, prev, prev_term, new, 0))


def test_configuration_is_used_when_it_is_appended() -> None:
    """Regardless of whether its entry is committed."""
    built = follower()
    effects = append(built, membership_entry(3, 3, GROWN))
    assert built.state.membership == GROWN
    assert built.state.commit_index == 0
    assert [told.facts["voters"] for told in effects.notices] == ["1 2 3 4"]


def test_newest_configuration_of_a_message_counts() -> None:
    built = follower()
    append(built, membership_entry(3, 3, GROWN), *entries("3", 4), membership_entry(5, 3, LARGER))
    assert built.state.memberships == [(0, MEMBERS), (3, GROWN), (5, LARGER)]


def test_ordinary_entries_leave_the_configuration() -> None:
    built = follower()
    append(built, *entries("3 3", 3))
    assert built.state.memberships == [(0, MEMBERS)]


@pytest.mark.parametrize(
    ("first", "left"),
    [(3, [(0, MEMBERS)]), (4, [(0, MEMBERS), (3, GROWN)]), (5, [(0, MEMBERS), (3, GROWN)])],
)
def test_truncation_falls_back_to_what_is_left(
    first: int, left: list[tuple[int, Membership]]
) -> None:
    built = follower()
    append(built, membership_entry(3, 3, GROWN), *entries("3", 4), membership_entry(5, 3, LARGER))
    append(built, *entries("4", first), term=4)
    assert built.state.memberships == left


def test_truncation_of_other_entries_leaves_the_configuration() -> None:
    built = follower()
    append(built, membership_entry(3, 3, GROWN), *entries("3 3", 4))
    effects = append(built, *entries("4", 5), term=4)
    assert built.state.membership == GROWN
    assert "membership" not in [told.event for told in effects.notices]


def test_configuration_may_be_replaced_in_one_message() -> None:
    built = follower()
    append(built, membership_entry(3, 3, GROWN))
    append(built, membership_entry(3, 4, LARGER), term=4)
    assert built.state.memberships == [(0, MEMBERS), (3, LARGER)]


def test_node_that_starts_finds_the_configurations_in_its_log() -> None:
    log = [*entries("1"), membership_entry(2, 1, GROWN), membership_entry(3, 1, LARGER)]
    assert node(1, term=1, log=log).state.memberships == [(0, MEMBERS), (2, GROWN), (3, LARGER)]


@pytest.mark.parametrize(
    ("index", "membership"), [(0, MEMBERS), (1, MEMBERS), (2, GROWN), (3, LARGER), (9, LARGER)]
)
def test_configuration_at_an_index_is_the_last_one_up_to_it(
    index: int, membership: Membership
) -> None:
    log = [*entries("1"), membership_entry(2, 1, GROWN), membership_entry(3, 1, LARGER)]
    assert membership_at(node(1, term=1, log=log).state, index) == membership


def test_snapshot_replaces_all_configurations() -> None:
    built = follower()
    append(built, membership_entry(3, 3, GROWN))
    chunk = InstallSnapshot(3, 2, 9, 3, LARGER.encode(), 0, b"", done=True)
    built.receive(2, chunk)
    built.step(SnapshotInstalled(9))
    assert built.state.memberships == [(9, LARGER)]


def test_leader_starts_to_replicate_to_who_joins_and_stops_for_who_leaves() -> None:
    """What it knows of the others stays."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2})
    known = leader.leader.progress[2]
    out = Effects()
    adopt(leader.state, [membership_entry(3, 3, Membership((1, 2), learners=(4,)))], out)
    progress = leader.leader.progress
    assert list(progress) == [2, 4]
    assert progress[2] is known
    assert (progress[4].next_index, progress[4].match_index) == (3, 0)


def test_vote_of_who_joined_counts() -> None:
    """Elections use the configuration in the log, too."""
    built = follower()
    append(built, membership_entry(3, 3, LARGER))
    built.time_out()
    assert sorted(to for to, _ in built.time_out().messages) == [2, 3, 4, 5]


def test_reset_names_the_voters_for_the_operator() -> None:
    out = Effects()
    reset(follower().state, 9, Membership((1, 0xABC)), out)
    assert out.notices[0].facts["voters"] == "1 abc"
