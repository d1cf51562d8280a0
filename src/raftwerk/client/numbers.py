"""The client's side of a session (thesis 6.3): numbers for its writes, and which answers it still waits for."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from raftwerk.client.shared import Shared
from raftwerk.http2.headers import literal

WINDOW: Final = 1_000
"""A write is so many numbers ahead of the first one open, at most: the servers' limit (kv.sessions)."""


class Ticket:
    """The place of one write in its session, the same for all its attempts. Give it back when it is over."""

    __slots__ = ("_numbers", "number", "session")

    def __init__(self, numbers: "Numbers", session: int, number: int) -> None:
        self._numbers = numbers
        self.session = session
        self.number = number

    @property
    def first(self) -> int:
        """The first number of its session that somebody waits for."""
        return self._numbers.first

    def metadata(self) -> bytes:
        """Of one attempt (server.sessions)."""
        return literal(b"raftwerk-session", b"%d/%d/%d" % (self.session, self.number, self.first))

    def release(self) -> None:
        """Nobody waits for this write any more: it is answered, or given up."""
        self._numbers.release(self.number)


class Numbers:
    """Of one session."""

    def __init__(self, session: int) -> None:
        self.session = session
        self._next = 1
        self.first = 1
        """Of the writes that are not over."""
        self._over: set[int] = set()
        """Numbers of those that are over, above `first`: few as a rule, since answers come in order."""
        self._waiters: deque[asyncio.Future[Ticket]] = deque()
        """For room in the window, in the order in which they came; there is none, then."""

    @property
    def is_free(self) -> bool:
        """Whether a number is to be had at once: there is room in the window, so that nobody waits for it."""
        return self._next - self.first < WINDOW

    async def wait(self) -> Ticket:
        """The next number, when it is our turn. There must be none at once."""
        waiter: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                waiter.result().release()
            raise

    def draw(self) -> Ticket:
        """The next number. There must be room."""
        assert self.is_free, "look at is_free first"
        number = self._next
        self._next += 1
        return Ticket(self, self.session, number)

    def release(self, number: int) -> None:
        if number > self.first:
            self._over.add(number)
        if number != self.first:
            return
        self.first += 1
        while self.first in self._over:
            self._over.remove(self.first)
            self.first += 1
        while self._waiters and self.is_free:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(self.draw())  # or another one would have it before


class Session:
    """The session of a client, opened with its first write. open_: returns a new one, 0 if the server knows none."""

    def __init__(self, open_: Callable[[], Coroutine[Any, Any, int]]) -> None:
        self._open = open_
        self._numbers: Numbers | None = None
        self._begun = Shared(self._begin)
        self._is_unknown = False

    @property
    def number(self) -> int:
        """Of the session; 0: there is none."""
        return 0 if self._numbers is None else self._numbers.session

    @property
    def is_free(self) -> bool:
        """Whether a ticket is to be had at once: always if the server knows no sessions."""
        return self._is_unknown or (self._numbers is not None and self._numbers.is_free)

    def draw(self) -> Ticket | None:
        """A place for one write; None if the server knows no sessions. It must be free."""
        return None if self._numbers is None else self._numbers.draw()

    async def wait(self) -> Ticket | None:
        """The same when it is our turn; opens a session if there is none. Raises as open_."""
        while self._numbers is None and not self._is_unknown:
            await self._begun()
        if self.is_free or self._numbers is None:
            return self.draw()
        return await self._numbers.wait()

    async def _begin(self) -> None:
        session = await self._open()
        self._is_unknown = session == 0
        self._numbers = Numbers(session) if session else None

    def expired(self, session: int) -> None:
        """The server does not know it any more: the next write opens another."""
        if self.number == session:
            self._numbers = None
