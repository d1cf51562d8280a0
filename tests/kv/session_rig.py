"""Sessions without a machine: opened, and written in."""

from raftwerk.kv.commands import Put, SessionOpenAs, SessionWrite
from raftwerk.kv.results import KvError, PutResult, Result
from raftwerk.kv.sessions import Sessions


def open_(sessions: Sessions, *numbers: int) -> None:
    for number in numbers:
        sessions.execute(SessionOpenAs(number), 1, lambda _: KvError.UNREADABLE)


def use(sessions: Sessions, number: int, session: int, first: int = 1) -> Result:
    return sessions.execute(
        SessionWrite(session, number, first, Put(b"k")), 1, lambda _: PutResult(1, None)
    )
