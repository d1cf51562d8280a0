"""Sessions: a write that its client sends again is executed once, and answered alike each time (thesis 6.3).

A client opens a session through the log, and numbers its writes in it. The machine keeps the result of each write until the
client says that it has it: with every write comes the first number that it still waits for. Numbers below that one are over:
what arrives late under one of them is refused, never executed. A session's id depends on its place in the log, so that none
ever has it again: when a session has ended, a copy of its opening opens another one, and copies of its writes find none.

Everything is bounded, and decided by the log alone, so that all members decide alike: a write may be WINDOW numbers ahead of
the first one open; a session keeps KEPT_BYTES_MAX of results; there are SESSIONS_MAX sessions, of which the one that was not
used for longest ends when another is opened; and it ends after IDLE_WRITES writes of others.

SESSIONS: session -> _ROW, of those in use when a checkpoint begins; session and number -> the result of that write
(NOT_KEPT: it was too large), of those that are not over then. Most results never have a row: a client that works says soon
that it has them.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from raftwerk.kv.commands import (
    Compact,
    DeleteRange,
    Put,
    SessionClose,
    SessionCommand,
    SessionOpen,
    SessionOpenAs,
    SessionWrite,
    Txn,
    Write,
)
from raftwerk.kv.results import (
    CompactResult,
    DeleteRangeResult,
    KvError,
    PutResult,
    RangeResult,
    Result,
    SessionResult,
    TxnResult,
)
from raftwerk.kv.steps import Steps
from raftwerk.kv.store import Store, Table

SESSIONS_MAX: Final = 10_000
WINDOW: Final = 1_000
KEPT_BYTES_MAX: Final = 65_536
IDLE_WRITES: Final = 10_000_000
ENDED_MAX: Final = 10
"""Sessions that end by one command, because they were not used."""
UNKEPT_MAX: Final = 1_000
"""More rows are not left to the beginning of a checkpoint, which writes them all at once. No two members need the same."""
UNWRITTEN_BYTES_MAX: Final = 1024 * 1024
"""More results are not left to the beginning of a checkpoint either. No two members need have the same in rows."""
RESULT_OVERHEAD_BYTES: Final = 256
"""Counted with each."""
NOT_KEPT: Final = b""

_ROW: Final = struct.Struct(">QQQ")
_ID: Final = struct.Struct(">q")
_NUMBER: Final = struct.Struct(">qQ")
_USES: Final = b"session_uses"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(
    PutResult | DeleteRangeResult | TxnResult | CompactResult | KvError
).decode


_RESULTS: Final[dict[type[Write], type[Result]]] = {
    Put: PutResult,
    DeleteRange: DeleteRangeResult,
    Txn: TxnResult,
    Compact: CompactResult,
}


class Session:
    """used: the number of its last use, unlike that of any other. first: of the writes that are not over.

    highest: no result of a higher number is kept. It is in no row: the results tell. unwritten: results that have no row,
    by number.
    """

    __slots__ = ("first", "highest", "kept_bytes", "unwritten", "used")

    def __init__(self, used: int, first: int, kept_bytes: int, highest: int) -> None:
        self.used = used
        self.first = first
        self.kept_bytes = kept_bytes
        self.highest = highest
        self.unwritten: dict[int, bytes] = {}

    def row(self) -> bytes:
        return _ROW.pack(self.used, self.first, self.kept_bytes)


class Sessions:
    """All sessions of a store."""

    def __init__(
        self,
        store: Store,
        *,
        sessions_max: int = SESSIONS_MAX,
        idle_writes: int = IDLE_WRITES,
        window: int = WINDOW,
        unkept_max: int = UNKEPT_MAX,
        unwritten_bytes_max: int = UNWRITTEN_BYTES_MAX,
    ) -> None:
        self._store = store
        self._sessions_max = sessions_max
        self._idle_writes = idle_writes
        self._window = window
        self._unkept_max = unkept_max
        self._unwritten_bytes_max = unwritten_bytes_max
        self.load()

    def load(self) -> None:
        """The store's rows were replaced, or are new."""
        self._uses = self._kept_uses = int.from_bytes(
            self._store.get(Table.META, _USES) or b"", "big"
        )
        rows: dict[int, tuple[int, int, int]] = {}
        highest: dict[int, int] = {}
        for row, data in self._store.scan(Table.SESSIONS, b"", None):
            if len(row) == _ID.size:
                rows[_ID.unpack(row)[0]] = _ROW.unpack(data)
            else:
                number, result = _NUMBER.unpack(row)
                highest[number] = result
        self._sessions = {
            number: Session(*rows[number], highest.get(number, 0))
            for number in sorted(rows, key=rows.__getitem__)
        }
        """In the order of their last use."""
        self._unkept = 0
        """Sessions whose row, if they have one, is older than their last use."""
        self._unwritten_bytes = 0
        """Of results that have no row, of all sessions."""

    def keep(self) -> None:
        """A checkpoint begins: what is in memory alone goes into it."""
        for number, session in reversed(self._sessions.items()):
            if session.used <= self._kept_uses:
                break
            self._store.put(Table.SESSIONS, _ID.pack(number), session.row())
            for one, result in session.unwritten.items():
                self._store.put(Table.SESSIONS, _NUMBER.pack(number, one), result)
            session.unwritten.clear()
        self._unkept = self._unwritten_bytes = 0
        if self._uses != self._kept_uses:
            self._kept_uses = self._uses
            self._store.put(Table.META, _USES, self._uses.to_bytes(8, "big"))

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """What a checkpoint now would have of all sessions: these in the order of their use, then the results in theirs."""
        results = dict(self._store.scan(Table.SESSIONS, b"", None))
        for number, session in self._sessions.items():
            row = _ID.pack(number)
            results.pop(row, None)
            yield row, session.row()
            for one, result in session.unwritten.items():
                results[_NUMBER.pack(number, one)] = result
        yield from sorted(results.items())

    def __len__(self) -> int:
        return len(self._sessions)

    def execute(
        self,
        command: SessionCommand,
        revision: int,
        write: Callable[[Write], Result | Steps[Result]],
    ) -> Result | Steps[Result]:
        """write: executes what the command carries; called at most once. If it takes several slices, so does this."""
        if isinstance(command, SessionWrite):
            return self.write(command, write)
        if isinstance(command, SessionOpen):
            return SessionResult(revision, self._open(_id_of(command.lot, self._uses)))
        if isinstance(command, SessionOpenAs):
            return SessionResult(revision, self._open(command.session))
        assert isinstance(command, SessionClose)
        if command.session in self._sessions:
            self._end(command.session)
        return SessionResult(revision, command.session)

    def write(
        self, command: SessionWrite, write: Callable[[Write], Result | Steps[Result]]
    ) -> Result | Steps[Result]:
        """See execute."""
        session = self._sessions.get(command.session)
        if session is None:
            return KvError.SESSION_EXPIRED
        first = max(session.first, command.first)
        if not first <= command.number < first + self._window:
            return KvError.OUTSIDE_WINDOW
        self._use(command.session, session)
        if first > session.first:
            session.kept_bytes -= self._forget(command.session, session, first)
            session.first = first
        if command.number <= session.highest:  # most come in order
            kept = session.unwritten.get(command.number)
            if kept is None:
                row = _NUMBER.pack(command.session, command.number)
                kept = self._store.get(Table.SESSIONS, row)
            if kept is not None:
                return _again(command.command, kept)
        result = write(command.command)
        if type(result) is not PutResult and isinstance(result, Generator):
            return self._kept_at_its_end(result, command, session)
        return self._kept(result, command, session)

    def _kept_at_its_end(
        self, steps: Steps[Result], command: SessionWrite, session: Session
    ) -> Steps[Result]:
        return self._kept((yield from steps), command, session)

    def _kept(self, result: Result, command: SessionWrite, session: Session) -> Result:
        """Keep the result of a write."""
        bytes_max = KEPT_BYTES_MAX - session.kept_bytes
        kept = NOT_KEPT
        if _may_fit(result, bytes_max):  # else it would be encoded for nothing, however large
            kept = _encode(result)
            if len(kept) > bytes_max:
                kept = NOT_KEPT
        unwritten_bytes = self._unwritten_bytes + len(kept) + RESULT_OVERHEAD_BYTES
        if unwritten_bytes <= self._unwritten_bytes_max:
            self._unwritten_bytes = unwritten_bytes
            session.unwritten[command.number] = kept
        else:
            self._store.put(Table.SESSIONS, _NUMBER.pack(command.session, command.number), kept)
        session.highest = max(command.number, session.highest)
        session.kept_bytes += len(kept)
        return result

    def _use(self, number: int, session: Session) -> None:
        if session.used <= self._kept_uses:
            if self._unkept == self._unkept_max:
                self.keep()
            self._unkept += 1
        self._uses += 1
        if session.used + 1 != self._uses:  # another one was used since
            self._sessions.pop(number, None)
            self._sessions[number] = session
        session.used = self._uses

    def _open(self, number: int) -> int:
        if number in self._sessions:
            return number
        while len(self._sessions) >= self._sessions_max:
            self._end(next(iter(self._sessions)))
        for _ in range(ENDED_MAX):
            oldest = next(iter(self._sessions), None)
            if oldest is None or self._uses - self._sessions[oldest].used < self._idle_writes:
                break
            self._end(oldest)
        self._use(number, Session(-1, 1, 0, 0))
        return number

    def _end(self, number: int) -> None:
        session = self._sessions.pop(number)
        self._forget(number, session, session.highest + 1)
        self._store.delete(Table.SESSIONS, _ID.pack(number))

    def _forget(self, number: int, session: Session, first: int) -> int:
        """The results of a session before `first`. Returns how many bytes they had."""
        size_bytes = 0
        last = min(session.highest + 1, session.first + self._window)
        for one in range(session.first, min(first, last)):
            kept = session.unwritten.pop(one, None)
            if kept is not None:
                self._unwritten_bytes -= len(kept) + RESULT_OVERHEAD_BYTES
            else:
                row = _NUMBER.pack(number, one)
                kept = self._store.get(Table.SESSIONS, row)
                if kept is not None:
                    self._store.delete(Table.SESSIONS, row)
            size_bytes += len(kept or b"")
        return size_bytes


def _again(write: Write, kept: bytes) -> Result:
    """What a write that was done before is answered. A number stands for one write: results of another kind answer none."""
    if not kept:
        return KvError.RESULT_NOT_KEPT
    result = _decode(kept)
    return result if isinstance(result, (KvError, _RESULTS[type(write)])) else KvError.ANOTHER_WRITE


def _id_of(lot: int, uses: int) -> int:
    """The id of the session that is opened after so many uses of any: 1 .. 2**63 - 1."""
    digest = blake2b(_NUMBER.pack(lot, uses), digest_size=_ID.size).digest()
    return int.from_bytes(digest, "big") >> 1 or 1


def _may_fit(result: Result, bytes_max: int) -> bool:
    """Whether a result could be encoded in so few bytes, as far as its key-values tell: found out without encoding them."""
    if isinstance(result, PutResult):
        return len(result.prev_kv or b"") <= bytes_max
    for size in _sizes(result):
        bytes_max -= size
        if bytes_max < 0:
            return False
    return True


def _sizes(result: Result) -> Iterator[int]:
    """Of its key-values, encoded: at least."""
    if isinstance(result, TxnResult):
        for response in result.responses:
            yield from _sizes(response)
    elif isinstance(result, RangeResult | DeleteRangeResult):
        for kv in result.kvs if isinstance(result, RangeResult) else result.prev_kvs:
            yield 2 + len(kv)
    elif isinstance(result, PutResult):
        yield len(result.prev_kv or b"")
