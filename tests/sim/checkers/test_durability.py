"""What may be said, and what must come back, against the model of each disk."""

import pytest

from raftwerk.raft.effects import Persist
from raftwerk.raft.log import Log
from raftwerk.raft.messages import (
    AppendEntriesReply,
    InstallSnapshotReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.state import State
from raftwerk.raft.types import Entry, EntryKind, Snapshot
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.durability import Durability, DurableLog
from raftwerk.wal.log import Recovered
from tests.raft.builder import node


def entries(*terms: int, first: int = 1) -> list[Entry]:
    return [Entry(index, term, EntryKind.COMMAND, b"") for index, term in enumerate(terms, first)]


def recovered(term: int, vote: int, *terms: int) -> Recovered:
    return Recovered(term, vote, Log(0, 0, entries(*terms)), 0, is_new=False)


def state() -> State:
    """Node 1 in term 3, with an entry of term 1 and one of term 3 in memory."""
    return node(1, term=3, log="1 3").state


def checked() -> Durability:
    """Node 1 whose disk has term 3, vote 2, and the first entry; a second one is under way."""
    durability = Durability()
    durability.on_persist(1, Persist(1, 3, 2, entries=entries(1)))
    durability.on_persist(1, Persist(2, 3, 2, entries=entries(3, first=2)))
    durability.on_persisted(1, 1)
    return durability


@pytest.mark.parametrize(
    "message",
    [
        AppendEntriesReply(4, False, 0),
        AppendEntriesReply(3, True, 2),
        RequestVoteReply(3, True),
        RequestVote(3, 1, 2, 3),
        InstallSnapshotReply(3, 9, 0, True),
    ],
    ids=["term", "match", "vote-for-another", "own-vote", "snapshot"],
)
def test_what_the_disk_does_not_hold_must_not_be_said(message: Message) -> None:
    with pytest.raises(Violation, match="Durability"):
        checked().on_send(state(), 3, message)


@pytest.mark.parametrize(
    "message",
    [AppendEntriesReply(3, True, 1), RequestVoteReply(3, True), RequestVoteReply(3, False)],
    ids=["match", "vote", "refusal"],
)
def test_what_it_holds_may_be_said(message: Message) -> None:
    durability = checked()
    durability.on_send(state(), 2, message)
    assert durability.log_of(1).holds(1, 1)


@pytest.mark.parametrize(
    ("terms", "is_held"), [((1, 2), True), ((1, 1), True), ((1,), False), ((1, 3), False)]
)
def test_a_reply_that_left_as_the_term_ended_is_judged_by_the_disk(
    terms: tuple[int, ...], is_held: bool
) -> None:
    """In the same step the next leader's entries came, and replaced in memory what it vouches for (seed 50000935)."""
    durability = Durability()
    durability.on_persist(1, Persist(1, 3, 2, entries=entries(*terms)))
    durability.on_persisted(1, 1)
    durability.on_persist(1, Persist(2, 3, 2, truncate_from=2, entries=entries(3, first=2)))
    reply = AppendEntriesReply(2, True, 2)
    if is_held:
        durability.on_send(state(), 2, reply)
    else:
        with pytest.raises(Violation, match="vouched for 2"):
            durability.on_send(state(), 2, reply)


def test_a_checkpoint_stands_in_for_entries() -> None:
    durability = checked()
    durability.on_checkpointed(1, 2)
    assert durability.log_of(1).holds(2, 3)
    durability.on_send(state(), 2, AppendEntriesReply(3, True, 2))


@pytest.mark.parametrize(
    "terms", [(1,), (1, 3)], ids=["what-was-reported", "and-what-was-under-way"]
)
def test_a_node_comes_back_with_a_prefix_of_its_persists(terms: tuple[int, ...]) -> None:
    durability = checked()
    durability.on_recovered(1, recovered(3, 2, *terms))
    assert durability.log_of(1).terms == list(terms)


@pytest.mark.parametrize(
    "found",
    [recovered(3, 2), recovered(2, 2, 1), recovered(3, 0, 1), recovered(3, 2, 2)],
    ids=["entry-lost", "term-lost", "vote-lost", "other-entry"],
)
def test_anything_else_is_a_violation(found: Recovered) -> None:
    with pytest.raises(Violation, match="starts again"):
        checked().on_recovered(1, found)


def test_a_checkpoint_must_not_get_lost() -> None:
    durability = checked()
    durability.on_checkpointed(1, 2)
    with pytest.raises(Violation, match="2 was durable"):
        durability.on_started(1, state())


def test_model_truncates_and_resets() -> None:
    log = DurableLog()
    log.take(Persist(1, 1, 0, entries=entries(1, 1, 1)))
    log.take(Persist(2, 2, 0, truncate_from=2, entries=entries(2, first=2)))
    assert log.terms == [1, 2]
    log.take(Persist(3, 3, 0, reset_to=Snapshot(9, 3, b""), entries=entries(3, first=10)))
    assert (log.base_index, log.last_index, log.holds(10, 3), log.holds(11, 3)) == (
        9,
        10,
        True,
        False,
    )
