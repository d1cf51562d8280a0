"""Exactly once (thesis 6.3): whatever a client sends again, and however often, its write is executed once, and no refusal
comes without a reason.

A model of the sessions, made of the committed commands alone, says of each one how it must be answered. A write of a session
is known by session and number. It is executed if the session lives, the number is in its window, and it has not been executed
before: then the machine says what comes of it. All else has one right answer, and changes nothing: the answer that was given
before, or that there is no such session, that the number is outside the window, that the answer was too large to be kept, or
that the number stands for a write of another kind.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from raftwerk.kv.commands import (
    SessionClose,
    SessionCommand,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
)
from raftwerk.kv.results import KvError, PutResult, SessionResult
from raftwerk.kv.sessions import KEPT_BYTES_MAX
from raftwerk.sim.checkers import Violation, require
from raftwerk.sim.coverage import Coverage

REFUSALS: Final = (
    KvError.SESSION_EXPIRED,
    KvError.OUTSIDE_WINDOW,
    KvError.RESULT_NOT_KEPT,
    KvError.ANOTHER_WRITE,
)
_plain: Final = msgspec.msgpack.encode
_read: Final = msgspec.msgpack.decode
_INVARIANT: Final = "Exactly once"


@dataclass(slots=True)
class _Done:
    """A write that was executed. kind: of write; None: an error, which answers any. answer: None: too large to be kept."""

    kind: type[object] | None
    answer: bytes | None


@dataclass(slots=True)
class _Session:
    """used: the number of its last use, among all uses of sessions. first: numbers below it are over."""

    used: int
    first: int = 1
    done: dict[int, _Done] = field(default_factory=dict)


class ExactlyOnce:
    """Sees every committed command of a session, with what it did to the oracle."""

    def __init__(
        self, coverage: Coverage, *, sessions_max: int, idle_writes: int, window: int
    ) -> None:
        """As the machine has them. sessions_max: that live at once; idle_writes: of others, after which a session ends.

        window: so many numbers, from the first that is not over.
        """
        self._coverage = coverage
        self._sessions_max = sessions_max
        self._idle_writes = idle_writes
        self._window = window
        self._uses = 0
        self._living: dict[int, _Session] = {}
        self._opened: set[int] = set()

    def on_applied(self, command: SessionCommand, has_changed: bool, result: object) -> None:
        """has_changed: whether the revision moved."""
        if isinstance(command, SessionWrite):
            self._on_write(command, has_changed, result)
            return
        if not isinstance(result, SessionResult):
            raise Violation(_INVARIANT, f"{command} was refused: {result}")
        session = result.session
        if not isinstance(command, SessionOpen) and session != command.session:
            text = f"{command} was answered with session {session}"
            raise Violation(
                _INVARIANT, f"{text}, it must be answered with session {command.session}"
            )
        if isinstance(command, SessionClose):
            self._living.pop(session, None)
            self._coverage.mark("session: closed")
        elif isinstance(command, SessionOpen) or session not in self._living:
            is_new = session not in self._opened or isinstance(command, SessionOpenAs)
            require(is_new, _INVARIANT, f"session {session} was opened again")
            self._open(session)

    def _open(self, session: int) -> None:
        """Those go that are one too many, and those that were idle for too long (all: fewer live here than one command ends)."""
        while len(self._living) >= self._sessions_max:
            del self._living[min(self._living, key=self._last_use)]
            self._coverage.mark("session: put out")
        for other in list(self._living):
            if self._uses - self._last_use(other) >= self._idle_writes:
                del self._living[other]
                self._coverage.mark("session: ended idle")
        self._opened.add(session)
        self._uses += 1
        self._living[session] = _Session(self._uses)

    def _last_use(self, session: int) -> int:
        return self._living[session].used

    def _on_write(self, command: SessionWrite, has_changed: bool, result: object) -> None:
        required, answer = self._required(command), _plain(result)
        if required is None:
            if result in REFUSALS:
                text = f"{_name(command)} was refused, and nothing is against it: {result}"
                raise Violation(_INVARIANT, text)
            if isinstance(result, PutResult) and not has_changed:
                raise Violation(_INVARIANT, f"{_name(command)} was answered, and not executed")
            self._keep(command, isinstance(result, KvError), answer)
            return
        if has_changed or answer != required:
            what = "executed" if has_changed else f"answered with {_read(answer)!r:.200}"
            text = f"{_name(command)} was {what}, it must be answered with {_read(required)!r:.200}"
            raise Violation(_INVARIANT, text)
        again = result if result in REFUSALS else "answered again"
        self._coverage.mark(f"session: {again}")

    def _required(self, command: SessionWrite) -> bytes | None:
        """The one right answer; None: it must be executed. What is refused for want of a session or a place is no use of one."""
        session = self._living.get(command.session)
        if session is None:
            return _plain(KvError.SESSION_EXPIRED)
        first = max(session.first, command.first)
        if command.number >= first + self._window:
            self._coverage.mark("session: number beyond its window")
        if command.number < first or command.number >= first + self._window:
            return _plain(KvError.OUTSIDE_WINDOW)
        self._uses += 1
        session.used = self._uses
        if first > session.first:
            session.first = first
            session.done = {
                number: done for number, done in session.done.items() if number >= first
            }
        done = session.done.get(command.number)
        if done is None:
            return None
        if done.answer is None:
            return _plain(KvError.RESULT_NOT_KEPT)
        if done.kind not in (None, type(command.command)):
            return _plain(KvError.ANOTHER_WRITE)
        return done.answer

    def _keep(self, command: SessionWrite, is_error: bool, answer: bytes) -> None:
        """It was executed."""
        done = self._living[command.session].done
        kept_bytes = sum([len(other.answer) for other in done.values() if other.answer is not None])
        is_kept = kept_bytes + len(answer) <= KEPT_BYTES_MAX
        kind = None if is_error else type(command.command)
        done[command.number] = _Done(kind, answer if is_kept else None)


def _name(command: SessionWrite) -> str:
    return f"write {command.number} of session {command.session}"
