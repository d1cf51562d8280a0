"""The checker of sessions notices a write that is executed, or answered, otherwise than once."""

import pytest

from raftwerk.kv.commands import Put, SessionClose, SessionOpen, SessionWrite
from raftwerk.kv.results import KvError, PutResult, SessionResult
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.sessions import ExactlyOnce
from raftwerk.sim.coverage import Coverage

WRITE = SessionWrite(7, 1, 1, Put(b"k", b"v"))
DONE = PutResult(2, None)


def checker() -> ExactlyOnce:
    made = ExactlyOnce(Coverage())
    made.on_applied(SessionOpen(7), False, SessionResult(1, 7))
    return made


def test_a_write_is_executed_once_and_answered_alike() -> None:
    made = checker()
    made.on_applied(WRITE, True, DONE)
    made.on_applied(WRITE, False, DONE)
    made.on_applied(SessionClose(7), False, SessionResult(2, 7))
    made.on_applied(WRITE, False, KvError.SESSION_EXPIRED)


@pytest.mark.parametrize(
    ("has_changed", "result", "text"),
    [
        (True, DONE, "executed twice"),
        (False, PutResult(3, None), "was answered with"),
        (True, KvError.OUTSIDE_WINDOW, "refused, and executed"),
    ],
)
def test_another_copy_that_does_something_else(
    has_changed: bool, result: object, text: str
) -> None:
    made = checker()
    made.on_applied(WRITE, True, DONE)
    with pytest.raises(Violation, match=text):
        made.on_applied(WRITE, has_changed, result)


def test_no_write_without_a_session() -> None:
    made = checker()
    made.on_applied(SessionClose(7), False, SessionResult(1, 7))
    with pytest.raises(Violation, match="without a session"):
        made.on_applied(WRITE, True, DONE)


def test_no_session_that_was_closed_is_opened_again() -> None:
    made = checker()
    made.on_applied(SessionClose(7), False, SessionResult(1, 7))
    with pytest.raises(Violation, match="session 7 was opened again"):
        made.on_applied(SessionOpen(3), False, SessionResult(1, 7))
