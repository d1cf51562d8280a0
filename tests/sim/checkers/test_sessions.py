"""The checker of sessions notices a write that is executed, answered or refused otherwise than its rules say."""

from typing import Any

import pytest

from raftwerk.kv.commands import (
    DeleteRange,
    Put,
    SessionClose,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
    Write,
)
from raftwerk.kv.results import KvError, PutResult, SessionResult
from raftwerk.kv.sessions import KEPT_BYTES_MAX
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.sessions import ExactlyOnce
from raftwerk.sim.coverage import Coverage

WINDOW = 100
PUT = Put(b"k", b"v")
DONE = PutResult(2, None)
TOO_LARGE = PutResult(2, bytes(KEPT_BYTES_MAX))
LARGE = PutResult(2, bytes(KEPT_BYTES_MAX - 100))


class Told:
    """A checker, and what it is told of a log: at most three sessions, which end after ten writes of others."""

    def __init__(self, *sessions: int) -> None:
        self.coverage = Coverage()
        self.checker = ExactlyOnce(self.coverage, sessions_max=3, idle_writes=10, window=WINDOW)
        for session in sessions:
            self.open(session)

    def open(self, session: int) -> None:
        self.checker.on_applied(SessionOpen(5), False, SessionResult(1, session))

    def close(self, session: int) -> None:
        self.checker.on_applied(SessionClose(session), False, SessionResult(1, session))

    def done(
        self,
        session: int,
        number: int,
        result: object = DONE,
        *,
        first: int = 1,
        write: Write = PUT,
    ) -> None:
        """A write was executed."""
        has_changed = not isinstance(result, KvError)
        self.checker.on_applied(SessionWrite(session, number, first, write), has_changed, result)

    def again(self, session: int, number: int, result: object = DONE, **more: Any) -> None:
        """A write was answered, and changed nothing. more: first and write, as of `done`."""
        command = SessionWrite(session, number, more.get("first", 1), more.get("write", PUT))
        self.checker.on_applied(command, False, result)

    refused = again


def test_a_write_is_executed_once_and_answered_alike() -> None:
    log = Told(7)
    log.done(7, 1)
    log.again(7, 1)
    with pytest.raises(Violation, match="was executed, it must be answered with"):
        log.done(7, 1)
    with pytest.raises(Violation, match="write 1 of session 7 was answered with"):
        log.again(7, 1, PutResult(3, None))


def test_an_answer_is_not_given_for_nothing() -> None:
    with pytest.raises(Violation, match="was answered, and not executed"):
        Told(7).again(7, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        KvError.SESSION_EXPIRED,
        KvError.OUTSIDE_WINDOW,
        KvError.RESULT_NOT_KEPT,
        KvError.ANOTHER_WRITE,
    ],
)
def test_what_is_open_is_not_refused(refusal: KvError) -> None:
    log = Told(7)
    with pytest.raises(Violation, match="write 1 of session 7 was refused"):
        log.refused(7, 1, refusal)
    log = Told(7)
    log.done(7, 1)
    with pytest.raises(Violation, match="was answered with"):
        log.refused(7, 1, refusal)


def test_a_write_that_the_machine_could_not_do_is_done_too() -> None:
    log = Told(7)
    log.done(7, 1, KvError.LEASE_NOT_FOUND)
    log.again(7, 1, KvError.LEASE_NOT_FOUND)
    log.again(7, 1, KvError.LEASE_NOT_FOUND, write=DeleteRange(b"k"))
    with pytest.raises(Violation, match="was executed"):
        log.done(7, 1)


def test_a_number_stands_for_one_kind_of_write() -> None:
    log = Told(7)
    log.done(7, 1)
    log.refused(7, 1, KvError.ANOTHER_WRITE, write=DeleteRange(b"k"))
    with pytest.raises(Violation, match="was answered with"):
        log.again(7, 1, write=DeleteRange(b"k"))


def test_without_a_session_nothing_is_done() -> None:
    log = Told(7)
    log.close(7)
    log.refused(7, 1, KvError.SESSION_EXPIRED)
    with pytest.raises(Violation, match="must be answered with 'session expired'"):
        log.done(7, 1)


@pytest.mark.parametrize(("first", "number"), [(1, WINDOW + 1), (5, 4), (5, WINDOW + 5), (1, 0)])
def test_outside_the_window_nothing_is_done(first: int, number: int) -> None:
    log = Told(7)
    log.refused(7, number, KvError.OUTSIDE_WINDOW, first=first)
    assert log.coverage.counts["session: number beyond its window"] == (number > first)
    with pytest.raises(Violation, match="must be answered with 'number outside the window"):
        log.done(7, number, first=first)


@pytest.mark.parametrize(("first", "number"), [(1, WINDOW), (5, 5), (5, WINDOW + 4)])
def test_within_the_window_all_is_done(first: int, number: int) -> None:
    log = Told(7)
    log.done(7, number, first=first)
    with pytest.raises(Violation, match="was answered with"):
        log.refused(7, number, KvError.OUTSIDE_WINDOW, first=first)


def test_numbers_that_were_acknowledged_are_over_for_ever() -> None:
    log = Told(7)
    log.done(7, 1)
    log.done(7, 3, first=3)
    log.refused(7, 1, KvError.OUTSIDE_WINDOW)
    log.refused(7, 2, KvError.OUTSIDE_WINDOW)
    with pytest.raises(Violation, match="number outside the window"):
        log.again(7, 1)


def test_what_is_refused_acknowledges_nothing() -> None:
    log = Told(7)
    log.refused(7, 4, KvError.OUTSIDE_WINDOW, first=5)
    with pytest.raises(Violation, match="write 1 of session 7 was refused"):
        log.refused(7, 1, KvError.OUTSIDE_WINDOW)


def test_results_are_kept_as_far_as_there_is_room() -> None:
    log = Told(7)
    log.done(7, 1, TOO_LARGE)
    log.refused(7, 1, KvError.RESULT_NOT_KEPT)
    log.done(7, 2, LARGE)
    log.done(7, 3, PutResult(2, bytes(200)))
    log.refused(7, 3, KvError.RESULT_NOT_KEPT)
    log.done(7, 4, LARGE, first=3)
    log.again(7, 4, LARGE, first=3)
    with pytest.raises(Violation, match="must be answered with 'done before, result not kept'"):
        log.again(7, 3, PutResult(2, bytes(200)))


def test_the_session_that_was_not_used_for_longest_is_put_out() -> None:
    log = Told(1, 2, 3)
    log.done(1, 1)
    log.refused(2, WINDOW + 1, KvError.OUTSIDE_WINDOW)  # no use
    log.open(4)
    log.refused(2, 1, KvError.SESSION_EXPIRED)
    log.done(3, 1)
    log.again(1, 1)
    log.open(5)
    log.refused(4, 1, KvError.SESSION_EXPIRED)
    with pytest.raises(Violation, match="write 2 of session 3 was refused"):
        log.refused(3, 2, KvError.SESSION_EXPIRED)


def test_an_idle_session_ends_when_another_is_opened() -> None:
    log = Told(1, 2)
    for number in range(1, 12):
        log.done(2, number)
    log.done(1, 1)
    for number in range(12, 22):
        log.done(2, number)
    log.open(3)
    log.refused(1, 2, KvError.SESSION_EXPIRED)
    log.again(2, 21)
    assert log.coverage.counts["session: ended idle"] == 1


def test_a_session_that_is_idle_one_write_less_lives() -> None:
    log = Told(1, 2)
    for number in range(1, 9):
        log.done(2, number)
    log.open(3)
    with pytest.raises(Violation, match="was refused"):
        log.refused(1, 1, KvError.SESSION_EXPIRED)


def test_no_session_is_opened_again() -> None:
    log = Told(7)
    for _ in range(2):
        with pytest.raises(Violation, match="session 7 was opened again"):
            log.open(7)
        log.close(7)


def test_sessions_of_earlier_logs_have_their_names_and_may_come_again() -> None:
    log = Told()
    opened = SessionOpenAs(7), False, SessionResult(1, 7)
    log.checker.on_applied(*opened)
    log.done(7, 1)
    log.checker.on_applied(*opened)
    log.again(7, 1)
    log.close(7)
    log.checker.on_applied(*opened)
    log.done(7, 1)
    with pytest.raises(Violation, match="must be answered with session 8"):
        log.checker.on_applied(SessionOpenAs(8), False, SessionResult(1, 7))


def test_opening_and_closing_are_not_refused() -> None:
    log = Told(7)
    for command in (SessionOpen(7), SessionOpenAs(7), SessionClose(7)):
        with pytest.raises(Violation, match="was refused"):
            log.checker.on_applied(command, False, KvError.SESSION_EXPIRED)
    with pytest.raises(Violation, match="must be answered with session 7"):
        log.checker.on_applied(SessionClose(7), False, SessionResult(1, 8))
