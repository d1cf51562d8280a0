"""Long reads in slices: one slice of one of them in each turn of the loop, however many there are."""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import TypeAlias

from raftwerk.http2.server import Call

Steps: TypeAlias = Generator[None, None, None]
"""Does the next slice of the work when it is asked for more, and answers the call at its end."""


class Slices:
    """All long reads of this node, in turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Call, Steps]] = deque()
        self._is_due = False

    def start(self, call: Call, steps: Steps) -> None:
        """Do the first slice now, which may be all. A call that is over gets no further one: its steps are closed."""
        if call.is_over:
            steps.close()
        elif next(steps, steps) is None:
            self._waiting.append((call, steps))
            self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        call, steps = self._waiting.popleft()
        self._wake()  # first: what goes wrong with one read does not hold up the others
        self.start(call, steps)
