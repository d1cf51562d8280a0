"""An action that all who need it at the same time share: one attempt, after which they all go on at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """action: begins an attempt."""

    def __init__(self, action: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._action = action
        self._attempt: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """What the attempt under way returns, or a new one. It goes on when somebody waits no longer. Raises as the action."""
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_task(self._action())
            self._attempt.add_done_callback(self._over)
        attempt = self._attempt
        await asyncio.wait([attempt])
        return attempt.result()

    def _over(self, attempt: "asyncio.Task[T]") -> None:
        self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # whoever waited has it; perhaps nobody does any more
