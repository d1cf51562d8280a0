"""Exactly once (thesis 6.3): whatever a client sends again, and however often, its write is executed once.

A write of a session is known by session and number. It may stand in the log many times; at most one of them changes
anything, and while the session lives all of them are answered alike. What a session has not open is not executed.
"""

import msgspec

from raftwerk.kv.commands import (
    SessionClose,
    SessionCommand,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
)
from raftwerk.kv.results import KvError, SessionResult
from raftwerk.sim.checkers import require
from raftwerk.sim.coverage import Coverage

_plain = msgspec.msgpack.encode
REFUSALS = (KvError.SESSION_EXPIRED, KvError.OUTSIDE_WINDOW, KvError.RESULT_NOT_KEPT)


class ExactlyOnce:
    """Sees every committed command of a session, with what it did to the oracle."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._open: set[int] = set()
        self._closed: set[int] = set()
        self._done: dict[tuple[int, int], bytes] = {}
        """The answer to each write that was executed."""

    def on_applied(self, command: SessionCommand, has_changed: bool, result: object) -> None:
        """has_changed: whether the revision moved."""
        if isinstance(command, SessionOpen | SessionOpenAs):
            if isinstance(result, SessionResult):
                self._on_opened(result.session)
        elif isinstance(command, SessionClose):
            self._open.discard(command.session)
            self._closed.add(command.session)
            self._coverage.mark("session: closed")
        else:
            self._on_write(command, has_changed, result)

    def _on_opened(self, session: int) -> None:
        require(session not in self._closed, "Exactly once", f"session {session} was opened again")
        self._open.add(session)

    def _on_write(self, command: SessionWrite, has_changed: bool, result: object) -> None:
        name = f"write {command.number} of session {command.session}"
        place = command.session, command.number
        is_refused = result in REFUSALS
        require(
            not (is_refused and has_changed), "Exactly once", f"{name} was refused, and executed"
        )
        if is_refused:
            self._coverage.mark(f"session: {result}")
            return
        require(
            command.session in self._open, "Exactly once", f"{name} was answered without a session"
        )
        answer = _plain(result)
        first = self._done.get(place)
        if first is None:
            self._done[place] = answer
            return
        require(not has_changed, "Exactly once", f"{name} was executed twice")
        require(
            first == answer, "Exactly once", f"{name} was answered with {first!r}, then {answer!r}"
        )
        self._coverage.mark("session: answered again")
