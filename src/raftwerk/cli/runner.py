"""What runs in an event loop ends with Ctrl-C, which is raised as KeyboardInterrupt."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_in(runner: asyncio.Runner, coro: Coroutine[Any, Any, T]) -> T:
    """As the runner runs it, with every interrupt told as one.

    asyncio counts the interrupts of each run from zero, just after it has begun to listen: one in between cancels what runs,
    and is told as CancelledError.
    """
    try:
        return runner.run(coro)
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error


def run_loop(coro: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run."""
    with asyncio.Runner() as runner:
        return run_in(runner, coro)


def as_interrupt(_number: int, _frame: object) -> None:
    """A signal handler: the signal is taken as Ctrl-C, which ends an event loop task by task. SIGINT has a handler then."""
    signal.raise_signal(signal.SIGINT)
