"""What follows a step of the node at once, in the same turn of the loop: its answers go out.

As callbacks of the loop they would come a turn later, after whatever has come in meanwhile was read and worked on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final

ROUNDS: Final = 2
"""Answers to the puts of one call are put together, then their connection writes them. What comes after that, such as the next
piece of something long, takes its turn in the loop."""
TIME_S: Final = 0.002
"""What is left then takes its turn too: a step can answer on a thousand connections."""


class Afterwards:
    """`with` it around a step."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._actions: deque[Callable[[], object]] = deque()
        self._is_step = False

    def soon(self, action: Callable[[], object]) -> None:
        """Call `action`, never at once: at the end of the step that is under way, else in the next turn of the loop.

        What it raises goes to the loop's exception handler.
        """
        if self._is_step:
            self._actions.append(action)
        else:
            self._loop.call_soon(action)

    def __enter__(self) -> None:
        self._is_step = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        actions = self._actions
        try:
            until_s = self._clock() + TIME_S if actions else 0.0
            for _ in range(ROUNDS):
                for _ in range(len(actions)):
                    self._run(actions.popleft())
                    if self._clock() >= until_s:
                        return
        finally:
            self._is_step = False
            while actions:
                self._loop.call_soon(actions.popleft())

    def _run(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  (as the loop does for a callback)
            message = f"exception in {action!r}, after a step"
            self._loop.call_exception_handler({"message": message, "exception": error})
