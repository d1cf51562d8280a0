"""The client's side of a session (thesis 6.3): numbers for its writes, and which answers it still waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from raftwerk.http2.headers import literal

WINDOW: Final = 1_000
"""A write is so many numbers ahead of the first one open, at most: the servers' limit (kv.sessions)."""


class Ticket:
    """The place of one write in its session, the same for all its attempts. Give it back when it is over."""

    def __init__(self, numbers: "Numbers", session: int, number: int) -> None:
        self._numbers = numbers
        self.session = session
        self.number = number

    def metadata(self) -> bytes:
        """Of one attempt."""
        return (
            literal(b"raftwerk-session", b"%d" % self.session)
            + literal(b"raftwerk-sequence", b"%d" % self.number)
            + literal(b"raftwerk-first", b"%d" % self._numbers.first)
        )

    def release(self) -> None:
        """Nobody waits for this write any more: it is answered, or given up."""
        self._numbers.release(self.number)


class Numbers:
    """Of one session."""

    def __init__(self, session: int) -> None:
        self.session = session
        self._next = 1
        self._open: dict[int, None] = {}
        """Numbers of writes under way, in order."""
        self._room = asyncio.Event()

    @property
    def first(self) -> int:
        """Of those that are not over."""
        return next(iter(self._open), self._next)

    async def draw(self) -> Ticket:
        """The next number, as soon as there is room in the window."""
        while self._next - self.first >= WINDOW:
            self._room.clear()
            await self._room.wait()
        number = self._next
        self._next += 1
        self._open[number] = None
        return Ticket(self, self.session, number)

    def release(self, number: int) -> None:
        self._open.pop(number, None)
        self._room.set()


class Session:
    """The session of a client, opened with its first write. open_: returns a new one, 0 if the server knows none."""

    def __init__(self, open_: Callable[[], Awaitable[int]]) -> None:
        self._open = open_
        self._numbers: Numbers | None = None
        self._opening = asyncio.Lock()
        self._is_unknown = False

    @property
    def number(self) -> int:
        """Of the session; 0: there is none."""
        return 0 if self._numbers is None else self._numbers.session

    async def ticket(self) -> Ticket | None:
        """A place for one write; None if the server knows no sessions. Raises as open_."""
        if self._is_unknown:
            return None
        numbers = self._numbers
        if numbers is None:
            async with self._opening:
                numbers = self._numbers or await self._begin()
        return None if numbers is None else await numbers.draw()

    async def _begin(self) -> Numbers | None:
        session = await self._open()
        self._is_unknown = session == 0
        self._numbers = Numbers(session) if session else None
        return self._numbers

    def expired(self, session: int) -> None:
        """The server does not know it any more: the next write opens another."""
        if self.number == session:
            self._numbers = None
