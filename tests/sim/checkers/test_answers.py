"""The clients' answers against the history."""

import pytest

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.answers import Answers
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.durability import Durability
from raftwerk.sim.checkers.state_machine_safety import NoChecks, StateMachineSafety
from raftwerk.sim.history import Operation
from tests.replica.fakes import ListMachine


class Setting:
    def __init__(self) -> None:
        committed = Committed(Membership((1,)), Durability())
        machines = StateMachineSafety(
            committed, ListMachine(), lambda machine, oracle: None, NoChecks()
        )
        self.answers = Answers(committed, machines, lambda command: False)
        self._committed, self._machines = committed, machines

    def commit(self, *commands: bytes) -> None:
        first = self._committed.last_index + 1
        entries = [
            Entry(index, 1, EntryKind.COMMAND, command)
            for index, command in enumerate(commands, first)
        ]
        self._committed.entries += entries
        self._machines.on_committed(entries)
        self.answers.on_committed(entries)

    def call(self, command: bytes = b"") -> Operation:
        operation = Operation(1, 1, "put", 0, 0, command=command)
        self.answers.on_call(operation)
        return operation


def test_answer_with_the_result_of_its_place() -> None:
    setting = Setting()
    operation = setting.call(b"a")
    setting.commit(b"a")
    setting.answers.on_done(operation, ("done", b"a"))
    assert operation.index == setting.answers.floor_index == 1


def test_command_that_is_committed_twice() -> None:
    setting = Setting()
    setting.commit(b"a")
    with pytest.raises(Violation, match="again at 2"):
        setting.commit(b"a")


def test_answer_without_a_place_or_with_another_result() -> None:
    setting = Setting()
    with pytest.raises(Violation, match="not committed"):
        setting.answers.on_done(setting.call(b"a"), ("done", b"a"))
    operation = setting.call(b"b")
    setting.commit(b"b")
    with pytest.raises(Violation, match="Equal state machines"):
        setting.answers.on_done(operation, ("done", b"x"))


def test_refused_command_is_never_committed() -> None:
    setting = Setting()
    setting.answers.on_not_done(setting.call(b"a"))
    with pytest.raises(Violation, match="was refused"):
        setting.commit(b"a")
    setting.commit(b"b")
    with pytest.raises(Violation, match="was refused"):
        setting.answers.on_not_done(setting.call(b"b"))


def test_write_after_an_answered_one_stands_behind_it() -> None:
    setting = Setting()
    first = setting.call(b"b")
    setting.commit(b"a", b"b")
    setting.answers.on_done(first, ("done", b"b"))
    with pytest.raises(Violation, match="Real-time order"):
        setting.answers.on_done(setting.call(b"a"), ("done", b"a"))


def test_read_sees_all_that_was_committed_when_it_began() -> None:
    setting = Setting()
    setting.commit(b"a", b"b")
    operation = setting.call()
    with pytest.raises(Violation, match="Real-time order"):
        setting.answers.on_read(operation, 1, "state", "state")
    with pytest.raises(Violation, match="replayed state"):
        setting.answers.on_read(operation, 2, "state", "other state")
    setting.answers.on_read(operation, 2, "state", "state")
    assert operation.index == 2


def test_places_of_unanswered_commands_are_found_at_the_end() -> None:
    setting = Setting()
    known, unknown = setting.call(b"a"), setting.call(b"b")
    setting.commit(b"a")
    setting.answers.find([known, unknown])
    assert (known.index, unknown.index) == (1, 0)
