"""The client's side of a session (thesis 6.3): numbers for its writes, and which answers it still waits for."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

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

    def metadata(self) -> bytes:
        """Of one attempt (server.sessions)."""
        return literal(
            b"raftwerk-session", b"%d/%d/%d" % (self.session, self.number, self._numbers.first)
        )

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
        self._open: set[int] = set()
        """Numbers of writes under way."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        """For room in the window, in the order in which they came."""

    @property
    def room(self) -> int:
        """How many numbers may be drawn."""
        return WINDOW - (self._next - self.first)

    async def wait_for_room(self) -> None:
        while not self.room:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def draw(self) -> Ticket:
        """The next number. There must be room."""
        assert self.room, "look at room first"
        number = self._next
        self._next += 1
        self._open.add(number)
        return Ticket(self, self.session, number)

    def release(self, number: int) -> None:
        self._open.discard(number)
        while self.first < self._next and self.first not in self._open:
            self.first += 1
        for _ in range(min(self.room, len(self._waiters))):
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)


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

    @property
    def has_room(self) -> bool:
        """Whether a ticket is to be had without waiting: always if the server knows no sessions."""
        return self._is_unknown or (self._numbers is not None and self._numbers.room > 0)

    async def wait_for_room(self) -> None:
        """Until a ticket is to be had; opens a session if there is none. Raises as open_."""
        while not self.has_room:
            if self._numbers is not None:
                await self._numbers.wait_for_room()
                continue
            async with self._opening:
                if self._numbers is None and not self._is_unknown:
                    await self._begin()

    async def _begin(self) -> None:
        session = await self._open()
        self._is_unknown = session == 0
        self._numbers = Numbers(session) if session else None

    def ticket(self) -> Ticket | None:
        """A place for one write; None if the server knows no sessions. There must be room."""
        return None if self._numbers is None else self._numbers.draw()

    def expired(self, session: int) -> None:
        """The server does not know it any more: the next write opens another."""
        if self.number == session:
            self._numbers = None
