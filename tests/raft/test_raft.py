"""The one mutator: how a node starts, and what a batch of events is."""

from random import Random

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Persist
from raftwerk.raft.events import Persisted, Propose, Read, Received, Tick
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import NOBODY, Entry, EntryKind, Index, Snapshot
from tests.raft.builder import entries, membership_entry, node, only, sent

MEMBERS = Membership((1, 2, 3))


def start(log: Log, last_applied: Index, *, is_log_superseded: bool = False) -> Raft:
    return Raft(
        1,
        Config(),
        Random(1),
        membership=MEMBERS,
        current_term=5,
        voted_for=2,
        log=log,
        last_applied=last_applied,
        is_log_superseded=is_log_superseded,
        checks_invariants=True,
    )


# --- the start


def test_first_start_knows_nothing() -> None:
    state = Raft(1, Config(), Random(1), membership=MEMBERS).state
    assert (state.current_term, state.voted_for, state.leader_id) == (0, NOBODY, NOBODY)
    assert (state.log.last_index, state.commit_index, state.last_applied) == (0, 0, 0)


def test_restart_keeps_what_is_durable_and_forgets_the_rest() -> None:
    """Its log is durable, its state machine holds what it holds; who leads and what else is committed it must learn."""
    state = start(Log(3, 1, entries("2 2 5", 4)), 4).state
    assert (state.current_term, state.voted_for, state.leader_id) == (5, 2, NOBODY)
    assert (state.commit_index, state.last_applied, state.checkpoint_index) == (4, 4, 4)
    assert (state.durable_index, state.log.last_index) == (6, 6)


def test_restart_persists_nothing() -> None:
    assert start(Log(entries=entries("1 2")), 0).step([]) == Effects()


def test_restart_adopts_the_configurations_behind_what_is_applied() -> None:
    """The one in force there came from the state machine."""
    grown = Membership((1, 2, 3, 4))
    old = membership_entry(1, 1, Membership((9,)))
    state = start(Log(entries=[old, *entries("1", 2), membership_entry(3, 1, grown)]), 2).state
    assert state.memberships == [(2, MEMBERS), (3, grown)]


@pytest.mark.parametrize("last_applied", [2, 5], ids=["before-the-log", "after-the-log"])
def test_state_machine_must_lie_within_the_log(last_applied: Index) -> None:
    with pytest.raises(AssertionError):
        start(Log(3, 1, entries("2", 4)), last_applied)


def test_superseded_log_is_reset_by_the_first_persist() -> None:
    """A crash came between the installed snapshot and the log."""
    raft = start(Log(9, 4), 9, is_log_superseded=True)
    persist = raft.step([Tick(1)]).persist
    assert persist == Persist(1, 5, 2, reset_to=Snapshot(9, 4, MEMBERS.encode()), entries=[])
    assert (raft.state.durable_index, raft.state.last_applied) == (9, 9)


def test_node_that_starts_votes_no_second_time() -> None:
    raft = start(Log(), 0)
    (reply,) = raft.step([Received(3, RequestVote(5, 3, 9, 5))]).messages
    assert reply == (3, RequestVoteReply(5, False))


# --- a batch


def test_step_takes_any_iterable_once() -> None:
    raft = start(Log(), 0)
    raft.step(Tick(10) for _ in range(3))
    assert raft.state.leader_silent_ms == 30


def test_checks_are_off_unless_asked_for() -> None:
    """They cost more than the step."""
    raft = Raft(
        1, Config(), Random(1), membership=MEMBERS, log=Log(entries=entries("1")), current_term=1
    )
    raft.state.commit_index = 9
    raft.state.stable.durable_index = 0
    raft.step([])
    checked = start(Log(), 0)
    checked.state.commit_index = 9
    with pytest.raises(AssertionError):
        checked.step([])


def test_one_batch_is_one_persist_and_one_message_to_each_follower() -> None:
    """Group commit falls out for free."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2}, slow_disk=True)
    effects = leader.step(*[Propose(request, [b"x"]) for request in range(50)])
    assert effects.persist is not None
    assert len(effects.persist.entries) == 50
    assert len(only(effects, AppendEntries, to=2).entries) == 50


def test_commitment_is_decided_once_for_the_batch() -> None:
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2})
    leader.propose(b"a", b"b")
    effects = leader.step(
        Received(2, AppendEntriesReply(3, True, 3)), Received(2, AppendEntriesReply(3, True, 4))
    )
    assert [entry.index for entry in effects.committed] == [3, 4]
    assert [message.leader_commit for message in sent(effects, AppendEntries, to=2)] == [4]


def test_disk_and_read_in_one_batch() -> None:
    """The read index is what the batch has committed."""
    alone = node(1, term=3, log="1 3", role="leader", voters=(1,), commit=2, slow_disk=True)
    alone.propose(b"x")
    effects = alone.step(Read(7), Persisted(alone.ticket))
    assert [ready.read_index for ready in effects.reads] == [3]
    assert [entry.index for entry in effects.committed] == [3]


def test_everything_that_was_proposed_is_handed_out_as_it_was_proposed() -> None:
    alone = node(1, term=3, log="1 3", role="leader", voters=(1,), commit=2)
    effects = alone.propose(b"x")
    assert effects.committed == [Entry(3, 3, EntryKind.COMMAND, b"x")]


# --- terms (F2.ALL.2)

FROM_TERM_9: list[Message] = [
    PreVoteReply(9, 4, False),
    RequestVote(9, 2, 9, 8),
    RequestVoteReply(9, False),
    AppendEntries(9, 2, 2, 3, [], 0),
    AppendEntriesReply(9, False, 0),
    InstallSnapshot(9, 2, 8, 8, MEMBERS.encode(), 0, b"x", done=False),
    InstallSnapshotReply(9, 8, 0, installed=False),
    ForwardCommands(9, 1, [b"x"]),
    ForwardCommandsReply(9, 1, 0),
    ReadIndex(9, 1),
    ReadIndexReply(9, 1, 0),
]


@pytest.mark.parametrize("message", FROM_TERM_9, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_newer_term_is_adopted_from_any_message(role: str, message: Message) -> None:
    built = node(1, term=3, log="1 3", role=role)
    built.receive(2, message)
    assert (built.role, built.state.current_term) == ("Follower", 9)


@pytest.mark.parametrize("message", FROM_TERM_9, ids=lambda message: type(message).__name__)
def test_leader_steps_down_for_any_newer_term_but_a_candidates(message: Message) -> None:
    """Who only wants to lead must wait until the leader is gone (thesis 4.2.3)."""
    leader = node(1, term=3, log="1 3", role="leader")
    leader.receive(2, message)
    is_candidate = isinstance(message, RequestVote)
    assert (leader.role == "Leader", leader.state.current_term == 3) == (is_candidate, is_candidate)


def test_newer_term_of_a_transfer_is_adopted_and_followed_by_the_next() -> None:
    built = node(1, term=3, log="1 3")
    built.receive(2, TimeoutNow(9, 2))
    assert (built.role, built.state.current_term) == ("Candidate", 10)


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate", "leader"])
def test_pre_vote_brings_no_term(role: str) -> None:
    built = node(1, term=3, log="1 3", role=role)
    built.receive(2, PreVote(9, 10, 2, 9, 9))
    assert (built.role.lower(), built.state.current_term) == (role.replace("-", ""), 3)
