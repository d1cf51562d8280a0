"""The search for a linearization."""

from random import Random

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.linearizability import (
    check,
    is_explained_by_the_log,
    is_linearizable,
)
from raftwerk.sim.history import History, Operation, Outcome

BUDGET = 100_000


def write(value: bytes, call_us: int, return_us: int = -1, index: int = 0) -> Operation:
    """return_us -1: of unknown outcome."""
    outcome = Outcome.OK if return_us >= 0 else Outcome.UNKNOWN
    made = Operation(1, 1, "put", 0, call_us, {0: value}, command=value, index=index)
    made.return_us, made.outcome = return_us, outcome
    return made


def read(value: bytes | None, call_us: int, return_us: int, index: int = 0) -> Operation:
    made = Operation(2, 1, "get", 0, call_us, seen=(value,), index=index)
    made.return_us, made.outcome = return_us, Outcome.OK
    return made


def linearizable(*operations: Operation) -> bool | None:
    return is_linearizable(list(operations), (None,), BUDGET)


def test_reads_see_the_last_write() -> None:
    assert linearizable(write(b"a", 0, 1), read(b"a", 2, 3))
    assert not linearizable(write(b"a", 0, 1), read(None, 2, 3))


def test_overlapping_operations_have_either_order() -> None:
    both = write(b"a", 0, 5), write(b"b", 0, 5)
    assert linearizable(*both, read(b"a", 6, 7))
    assert linearizable(*both, read(b"b", 6, 7))
    assert not linearizable(*both, read(b"a", 6, 7), read(b"b", 8, 9))


def test_a_value_does_not_come_back() -> None:
    history = write(b"a", 0, 1), write(b"b", 2, 9), read(b"b", 3, 4), read(b"a", 5, 6)
    assert not linearizable(*history)


def test_unknown_outcome_may_happen_late_or_never() -> None:
    assert linearizable(write(b"a", 0), read(None, 1, 2), read(b"a", 8, 9))
    assert linearizable(write(b"a", 0), read(None, 8, 9))
    assert not linearizable(write(b"a", 0), read(b"a", 1, 2), read(None, 3, 4))


def test_search_gives_up_when_it_takes_too_long() -> None:
    history = [write(b"%d" % number, 0, 100) for number in range(20)]
    assert is_linearizable([*history, read(b"x", 101, 102)], (None,), 50) is None


def test_history_made_by_a_register_is_linearizable_and_a_changed_one_is_not() -> None:
    """Each operation takes effect at some moment between call and return."""
    for seed in range(30):
        random = Random(seed)
        value: bytes | None = None
        operations = []
        for moment in range(0, 400, 10):
            call_us, return_us = moment - random.randrange(20), moment + random.randrange(20)
            if random.random() < 0.5:
                value = b"%d" % moment
                operations.append(write(value, call_us, return_us, moment + 1))
            else:
                operations.append(read(value, call_us, return_us, moment + 1))
        assert is_linearizable(operations, (None,), BUDGET)
        assert is_explained_by_the_log(operations, (None,))
        operations.append(read(b"never written", 500, 501, 500))
        assert not is_explained_by_the_log(operations, (None,))
        assert not is_linearizable(operations, (None,), BUDGET)


def test_order_of_the_log_must_respect_the_times() -> None:
    history = [write(b"a", 0, 1, index=2), write(b"b", 5, 6, index=1)]
    assert not is_explained_by_the_log(history, (None,))


def test_check_names_the_group() -> None:
    history = History(1, [write(b"a", 0, 1), read(None, 2, 3)])
    with pytest.raises(Violation, match="group 0"):
        check(history)
    assert check(History(1, [write(b"a", 0, 1), read(b"a", 2, 3)])) == 0
