"""The log and the state machine's position, put together after a start."""

from random import Random

import pytest

from raftwerk.errors import DataDirError
from raftwerk.raft.config import Config
from raftwerk.raft.events import Persisted, Received
from raftwerk.raft.log import Log
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.position import Position
from raftwerk.replica.recovery import DurableState, start_core

MEMBERS = Membership((1, 2, 3))


def log(terms: str, after: int = 0, after_term: int = 0) -> Log:
    entries = [
        Entry(index, int(term), EntryKind.COMMAND, b"")
        for index, term in enumerate(terms.split(), after + 1)
    ]
    return Log(after, after_term, entries)


def start(durable: DurableState, position: bytes = b"") -> Raft:
    return start_core(1, Config(), Random(1), durable, position, MEMBERS, checks_invariants=True)


def test_a_new_node_starts_at_the_beginning_of_time() -> None:
    raft = start(DurableState(0, 0, Log()))
    assert raft.state.last_applied == 0
    assert raft.state.membership == MEMBERS


def test_the_log_after_the_position_waits_to_be_committed() -> None:
    raft = start(DurableState(3, 2, log("1 1 2 3")), Position(2, 1, MEMBERS.encode()).encode())
    state = raft.state
    assert (state.last_applied, state.commit_index, state.log.last_index) == (2, 2, 4)
    assert (state.current_term, state.voted_for) == (3, 2)
    assert raft.step([]).persist is None


@pytest.mark.parametrize("terms", ["1 1", "1 1 1 1"], ids=["log ends before", "log contradicts"])
def test_an_installed_snapshot_that_the_log_did_not_follow_wins(terms: str) -> None:
    raft = start(DurableState(3, 2, log(terms)), Position(4, 2, MEMBERS.encode()).encode())
    assert (raft.state.last_applied, raft.state.log.last_index) == (4, 4)
    persist = raft.step([]).persist
    assert persist is not None
    assert persist.reset_to is not None
    assert (persist.reset_to.last_included_index, persist.reset_to.last_included_term) == (4, 2)
    assert (persist.current_term, persist.voted_for) == (3, 2)


def test_a_term_known_only_from_the_snapshot_is_not_forgotten() -> None:
    raft = start(DurableState(3, 2, log("1 1")), Position(4, 7, MEMBERS.encode()).encode())
    assert (raft.state.current_term, raft.state.voted_for) == (7, 0)


def test_a_term_known_only_from_the_snapshot_is_durable_before_a_message_of_it_leaves() -> None:
    """Figure 2, "updated on stable storage before responding to RPCs": the log's own hard state is older."""
    raft = start(DurableState(3, 2, log("1 1")), Position(4, 7, MEMBERS.encode()).encode())
    effects = raft.step([Received(2, AppendEntries(7, 2, 4, 7, [], 4))])
    assert effects.messages == []
    assert effects.persist is not None
    assert effects.persist.current_term == 7
    [(to, reply)] = raft.step([Persisted(effects.persist.ticket)]).messages
    assert (to, reply.term) == (2, 7)


def test_missing_entries_between_state_and_log_refuse_to_start() -> None:
    with pytest.raises(DataDirError, match="entries between them are missing"):
        start(DurableState(3, 2, log("3", after=9)), Position(4, 2, MEMBERS.encode()).encode())
