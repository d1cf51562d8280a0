"""Every node against the oracle."""

import pytest

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.durability import Durability
from raftwerk.sim.checkers.state_machine_safety import NoChecks, StateMachineSafety
from tests.replica.fakes import ListMachine

HISTORY = [
    Entry(1, 1, EntryKind.NO_OP, b""),
    Entry(2, 1, EntryKind.COMMAND, b"a"),
    Entry(3, 1, EntryKind.COMMAND, b"b"),
]


def checker() -> StateMachineSafety:
    """Three entries are committed."""
    committed = Committed(Membership((1,)), Durability())
    committed.entries = list(HISTORY)
    made = StateMachineSafety(
        committed,
        ListMachine(),
        lambda machine, oracle: (machine.commands, oracle.commands),  # type: ignore[attr-defined]
        NoChecks(),
    )
    made.on_committed(HISTORY)
    return made


RESULTS = [("done", b"a"), ("done", b"b")]


def test_the_same_commands_with_the_same_results() -> None:
    made = checker()
    made.on_apply(1, 0, [b"a", b"b"], 3, RESULTS)
    made.on_apply(2, 2, [b"b"], 3, RESULTS[1:])
    assert made.results == [None, *RESULTS]


@pytest.mark.parametrize(
    ("last_applied", "commands", "index", "results", "name"),
    [
        (0, [b"a", b"x"], 3, RESULTS, "State Machine Safety"),
        (0, [b"a"], 3, RESULTS[:1], "State Machine Safety"),
        (0, [b"a", b"b", b"c"], 4, RESULTS, "State Machine Safety"),
        (0, [b"a", b"b"], 3, [("done", b"a"), ("other", b"b")], "Equal state machines"),
    ],
    ids=["other-command", "command-missing", "not-committed", "other-result"],
)
def test_anything_else_is_a_violation(
    last_applied: int, commands: list[bytes], index: int, results: list[object], name: str
) -> None:
    with pytest.raises(Violation, match=name):
        checker().on_apply(1, last_applied, commands, index, results)


def test_whole_states_are_compared() -> None:
    made, machine = checker(), ListMachine()
    with pytest.raises(Violation, match="another state"):
        made.check_state(1, machine)
    machine.apply([b"a", b"b"], 3, b"")
    assert made.check_state(1, machine)
