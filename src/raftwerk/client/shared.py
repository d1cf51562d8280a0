"""An action that all who need it at the same time share: one attempt, after which they all go on at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from raftwerk.client.errors import TROUBLES, CallError

T = TypeVar("T")


class Shared(Generic[T]):
    """action: begins an attempt."""

    def __init__(self, action: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._action = action
        self._attempt: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """What the attempt under way returns, or a new one. It goes on when somebody waits no longer. Raises as the action.

        One that was under way already, and gets no answer, says nothing about another: its time began earlier.
        """
        earlier = self._attempt
        if earlier is not None:
            try:
                await asyncio.wait([earlier])
                return earlier.result()
            except CallError as failure:
                if failure.code not in TROUBLES:
                    raise
        attempt = self._attempt or self._begin()
        await asyncio.wait([attempt])
        return attempt.result()

    def _begin(self) -> asyncio.Task[T]:
        self._attempt = asyncio.get_running_loop().create_task(self._action())
        self._attempt.add_done_callback(self._over)
        return self._attempt

    def _over(self, attempt: "asyncio.Task[T]") -> None:
        self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # whoever waited has it; perhaps nobody does any more
