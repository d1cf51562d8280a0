"""The durability gate: "updated on stable storage before responding to RPCs" (Figure 2), in two levels."""

import pytest

from raftwerk.raft import stable
from raftwerk.raft.effects import Effects, Persist
from raftwerk.raft.events import Persisted, Propose, Received, Tick
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.types import Index, Snapshot, Term
from tests.raft.builder import Node, entries, node, only, receivers, sent


def follower(log: str = "1 1", commit: Index = 0) -> Node:
    return node(1, term=3, log=log, commit=commit, leader=2, slow_disk=True)


def append(
    prev: Index, prev_term: Term, terms: str, *, term: Term = 3, leader: int = 2
) -> AppendEntries:
    return AppendEntries(term, leader, prev, prev_term, entries(terms, prev + 1), 0)


# --- level (a): nothing of term T leaves before T and the vote in it are durable


def test_vote_leaves_when_it_is_durable() -> None:
    voter = node(1, term=3, log="1 1", slow_disk=True)
    effects = voter.receive(2, RequestVote(4, 2, 2, 1))
    assert effects.persist == Persist(1, 4, 2, entries=[])
    assert effects.messages == []
    assert voter.persist().messages == [(2, RequestVoteReply(4, True))]


def test_refusal_in_a_new_term_waits_too() -> None:
    voter = node(1, term=3, log="1 3", slow_disk=True)
    assert not voter.receive(2, RequestVote(4, 2, 2, 1)).messages
    assert voter.persist().messages == [(2, RequestVoteReply(4, False))]


def test_requests_for_votes_leave_when_the_own_vote_is_durable() -> None:
    candidate = node(1, term=3, log="1 3", role="pre-candidate", slow_disk=True)
    effects = candidate.receive(2, PreVoteReply(3, 4, True))
    assert (candidate.role, effects.messages) == ("Candidate", [])
    assert receivers(candidate.persist(), RequestVote) == [2, 3]


def test_own_vote_counts_when_it_is_durable() -> None:
    alone = node(1, voters=(1,), slow_disk=True)
    alone.time_out()
    assert alone.role == "Candidate"
    alone.persist()
    assert alone.role == "Leader"


def test_vote_of_an_earlier_candidacy_is_not_the_present_one() -> None:
    alone = node(1, voters=(1,), slow_disk=True)
    alone.time_out()
    alone.time_out()
    assert alone.state.current_term == 2
    alone.step(Persisted(1))
    assert alone.role == "Candidate"
    alone.step(Persisted(2))
    assert alone.role == "Leader"


def test_pre_vote_waits_for_no_disk_in_an_old_term() -> None:
    """It changes nothing."""
    voter = node(1, term=3, log="1 3", slow_disk=True)
    effects = voter.receive(2, PreVote(3, 4, 2, 2, 3))
    assert effects.persist is None
    assert only(effects, PreVoteReply).vote_granted


def test_messages_of_an_older_term_are_dropped() -> None:
    """Silence is always safe."""
    voter = node(1, term=3, log="1 1", slow_disk=True)
    voter.receive(2, RequestVote(4, 2, 2, 1))
    voter.receive(3, RequestVote(5, 3, 2, 1))
    assert voter.persist().messages == [(3, RequestVoteReply(5, True))]


def test_messages_of_an_older_term_are_dropped_within_one_step() -> None:
    voter = node(1, term=3, log="1 1", slow_disk=True)
    effects = voter.step(Received(2, RequestVote(4, 2, 2, 1)), Received(3, RequestVote(5, 3, 2, 1)))
    assert effects.persist == Persist(1, 5, 3, entries=[])
    assert voter.persist().messages == [(3, RequestVoteReply(5, True))]


def test_message_waits_for_its_own_persist_and_no_later_one() -> None:
    voter = node(1, term=3, log="1 1", slow_disk=True)
    voter.receive(2, RequestVote(4, 2, 2, 1))
    voter.receive(2, append(2, 1, "4", term=4))
    effects = voter.step(Persisted(1))
    assert effects.messages == [(2, RequestVoteReply(4, True))]
    assert voter.step(Persisted(2)).messages == [(2, AppendEntriesReply(4, True, 3))]


def test_one_answer_of_the_disk_stands_for_all_before_it() -> None:
    voter = node(1, term=3, log="1 1", slow_disk=True)
    voter.receive(2, RequestVote(4, 2, 2, 1))
    voter.receive(2, append(2, 1, "4", term=4))
    assert voter.step(Persisted(2)).messages == [
        (2, RequestVoteReply(4, True)),
        (2, AppendEntriesReply(4, True, 3)),
    ]


# --- level (b): a success reply vouches for entries


def test_success_waits_for_the_entries() -> None:
    built = follower()
    effects = built.receive(2, append(2, 1, "3 3"))
    assert effects.persist == Persist(1, 3, 0, entries=entries("3 3", 3))
    assert effects.messages == []
    assert built.persist().messages == [(2, AppendEntriesReply(3, True, 4))]


def test_refusal_waits_for_nothing() -> None:
    built = follower()
    built.receive(2, append(2, 1, "3"))
    effects = built.receive(2, append(7, 3, "3"))
    assert effects.messages == [(2, AppendEntriesReply(3, False, 0, conflict_index=4))]


def test_heartbeat_is_answered_at_once_and_vouches_for_the_durable_part() -> None:
    """Or a slow disk would cost the leader its leadership."""
    built = follower()
    built.receive(2, append(2, 1, "3 3"))
    effects = built.receive(2, append(4, 3, ""))
    assert effects.messages == [(2, AppendEntriesReply(3, True, 2))]


def test_entries_sent_twice_are_vouched_for_as_far_as_they_are_durable() -> None:
    built = follower()
    built.receive(2, append(2, 1, "3 3"))
    effects = built.receive(2, append(2, 1, "3 3"))
    assert effects.persist is None
    assert effects.messages == [(2, AppendEntriesReply(3, True, 2))]


def test_each_success_leaves_when_its_part_is_durable() -> None:
    built = follower()
    built.receive(2, append(2, 1, "3"))
    built.receive(2, append(3, 3, "3"))
    assert built.step(Persisted(1)).messages == [(2, AppendEntriesReply(3, True, 3))]
    assert built.step(Persisted(2)).messages == [(2, AppendEntriesReply(3, True, 4))]


def test_appends_of_one_step_share_one_persist() -> None:
    """Group commit."""
    built = follower()
    effects = built.receive(2, append(2, 1, "3"), append(3, 3, "3 3"))
    assert effects.persist == Persist(1, 3, 0, entries=entries("3 3 3", 3))
    assert built.persist().messages == [
        (2, AppendEntriesReply(3, True, 3)),
        (2, AppendEntriesReply(3, True, 5)),
    ]


def test_nothing_is_applied_ahead_of_the_own_disk() -> None:
    built = follower()
    effects = built.receive(2, AppendEntries(3, 2, 2, 1, entries("3 3", 3), 4))
    assert (built.state.commit_index, [entry.index for entry in effects.committed]) == (4, [1, 2])
    assert [entry.index for entry in built.persist().committed] == [3, 4]


def test_entries_overtake_the_leaders_own_disk() -> None:
    """The leader can write to its disk in parallel with replicating to the followers (thesis 10.2.1)."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2}, slow_disk=True)
    effects = leader.propose(b"x")
    assert receivers(effects, AppendEntries) == [2, 3]
    assert effects.persist is not None


def test_leader_counts_itself_when_its_entries_are_durable() -> None:
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2}, slow_disk=True)
    leader.propose(b"x")
    leader.ack(2, 3)
    assert leader.state.commit_index == 2
    leader.persist()
    assert leader.state.commit_index == 3


def test_majority_of_followers_commits_without_the_leaders_disk() -> None:
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2}, slow_disk=True)
    leader.propose(b"x")
    leader.ack(2, 3)
    effects = leader.ack(3, 3)
    assert leader.state.commit_index == 3
    assert effects.committed == []
    assert [entry.index for entry in leader.persist().committed] == [3]


# --- entries that were on their way to the disk, and are deleted


def test_deletion_and_the_new_entries_are_one_atomic_step() -> None:
    built = follower("1 1 1 1", commit=2)
    effects = built.receive(2, append(2, 1, "3"))
    assert effects.persist == Persist(1, 3, 0, truncate_from=3, entries=entries("3", 3))


def test_write_of_deleted_entries_vouches_for_nothing() -> None:
    """Two writes at the same index: the first answer must not count for the second entry."""
    built = follower("1 1")
    built.receive(2, append(2, 1, "3 3 3"))
    built.receive(3, append(3, 3, "4 4", term=4, leader=3))
    assert (built.ticket, built.log) == (2, "1 1 3 4 4")
    effects = built.step(Persisted(1))
    assert (effects.messages, built.state.durable_index) == ([], 3)
    effects = built.step(Persisted(2))
    assert effects.messages == [(3, AppendEntriesReply(4, True, 5))]
    assert built.state.durable_index == 5


def test_deletion_lowers_the_durable_index() -> None:
    built = follower("1 1 1 1")
    built.receive(2, append(2, 1, "3 3 3"))
    assert built.state.durable_index == 2
    built.persist()
    assert built.state.durable_index == 5


def test_two_deletions_of_one_step_are_one_from_the_lowest() -> None:
    built = follower("1 1 1 1")
    effects = built.step(
        Received(2, append(3, 1, "3")), Received(3, append(1, 1, "4", term=4, leader=3))
    )
    assert effects.persist == Persist(1, 4, 0, truncate_from=2, entries=entries("4", 2))


def test_entries_that_came_and_went_in_one_step_never_reach_the_disk() -> None:
    built = follower("1 1")
    effects = built.step(
        Received(2, append(2, 1, "3 3")), Received(3, append(2, 1, "4", term=4, leader=3))
    )
    assert effects.persist == Persist(1, 4, 0, entries=entries("4", 3))


def test_deletion_is_handed_out_once() -> None:
    built = follower("1 1 1 1")
    built.receive(2, append(2, 1, "3"))
    effects = built.receive(2, append(3, 3, "3"))
    assert effects.persist == Persist(2, 3, 0, entries=entries("3", 4))


def test_reset_is_handed_out_once_and_takes_a_deletion_with_it() -> None:
    """The whole log goes: what was to be deleted from it is gone as well."""
    built = follower("1 1 1 1")
    snapshot = Snapshot(9, 2, b"")
    stable.on_truncated(built.state, 4)
    built.state.log.reset(9, 2)
    stable.on_reset(built.state, snapshot)
    out = Effects()
    stable.flush(built.state, out)
    assert out.persist == Persist(1, 3, 0, reset_to=snapshot, entries=[])
    assert (built.state.durable_index, built.state.stable.staged_index) == (9, 9)
    out = Effects()
    stable.flush(built.state, out)
    assert out.persist is None


@pytest.mark.parametrize(("index", "durable_index"), [(1, 2), (2, 2), (3, 3)])
def test_what_the_state_machine_holds_counts_as_durable(index: Index, durable_index: Index) -> None:
    built = follower("1 1")
    built.receive(2, append(2, 1, "3 3"))
    stable.on_compacted(built.state, index)
    assert built.state.durable_index == durable_index


def test_deletion_reaches_only_as_far_as_the_disk_was_told() -> None:
    """Entry 4 was never handed out: only what is on its way is taken back."""
    built = follower("1 1 1")
    effects = built.step(
        Received(2, append(3, 1, "3 3")), Received(3, append(2, 1, "4", term=4, leader=3))
    )
    assert effects.persist == Persist(1, 4, 0, truncate_from=3, entries=entries("4", 3))


# --- tickets


def test_tickets_have_no_gaps() -> None:
    leader = node(1, term=3, log="1 3", role="leader", slow_disk=True)
    tickets = [leader.propose(b"x").persist for _ in range(3)]
    first = leader.state.stable.persisted_ticket + 1
    assert [persist.ticket for persist in tickets if persist] == [first, first + 1, first + 2]


def test_step_without_changes_persists_nothing() -> None:
    assert follower().step(Tick(1)) == Effects()


@pytest.mark.parametrize("ticket", [0, 3], ids=["again", "not-given"])
def test_disk_answers_what_it_was_given_in_order(ticket: int) -> None:
    built = follower()
    built.receive(2, append(2, 1, "3"))
    built.receive(2, append(3, 3, "3"))
    built.step(Persisted(1))
    with pytest.raises(AssertionError):
        built.step(Persisted(ticket))


def test_entries_that_do_not_exist_are_not_vouched_for() -> None:
    """Such a reply would wait for ever, or lie."""
    built = follower()
    stable.send(built.state, 2, AppendEntriesReply(3, True, 9), vouches_for=9)
    with pytest.raises(AssertionError, match="up to 9 are neither durable nor on their way"):
        stable.flush(built.state, Effects())


def test_message_of_another_term_is_not_sent() -> None:
    with pytest.raises(AssertionError):
        stable.send(follower().state, 2, AppendEntriesReply(2, True, 0))


def test_hard_state_is_always_whole() -> None:
    """Every Persist carries the present term and vote."""
    voter = node(1, term=3, log="1 1", slow_disk=True)
    voter.receive(2, RequestVote(4, 2, 2, 1))
    effects = voter.receive(2, append(2, 1, "4", term=4))
    assert effects.persist is not None
    assert (effects.persist.current_term, effects.persist.voted_for) == (4, 2)


def test_proposals_of_one_step_are_one_write() -> None:
    leader = node(1, term=3, log="1 3", role="leader", slow_disk=True)
    effects = leader.step(Propose(1, [b"a"]), Propose(2, [b"b", b"c"]))
    assert effects.persist is not None
    assert [entry.command for entry in effects.persist.entries] == [b"a", b"b", b"c"]
    assert not sent(effects, AppendEntriesReply)
