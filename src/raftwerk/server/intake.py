"""How much clients' bytes may hold up the event loop: what comes in one turn of it is taken in for so long, the rest later.

A burst on many connections comes in a single turn. A leader that worked through all of it would send no heartbeat meanwhile.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

TURN_S: Final = 0.003


class Source(Protocol):
    """A connection that has more than could be taken in."""

    def take_in(self) -> bool:
        """Take in one piece. Returns whether there is more."""


class Intake:
    """Of all connections of a server: in turn, a piece of each, for as long as a turn of the loop has time."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._waiting: deque[Source] = deque()
        self._is_turn = False
        """This turn has begun to take in; _next_turn will be called."""
        self._until_s = 0.0

    @property
    def has_time(self) -> bool:
        """Whether a piece can be taken in now: this turn has time, and nobody waits."""
        if not self._is_turn:
            self._begin()
            return True
        return not self._waiting and self._clock() < self._until_s

    def wait(self, source: Source) -> None:
        """Take it in later. It must not wait already, and has_time was looked at in this turn."""
        self._waiting.append(source)

    def _begin(self) -> None:
        self._is_turn = True
        self._until_s = self._clock() + TURN_S
        self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_turn = False
        if not self._waiting:
            return
        self._begin()
        while self._waiting:
            source = self._waiting.popleft()
            if source.take_in():
                self._waiting.append(source)
            if self._clock() >= self._until_s:
                break
