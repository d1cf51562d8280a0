"""Ctrl-C in an event loop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

import pytest

from raftwerk.cli.runner import as_interrupt, run_in, run_loop


async def _interrupted() -> None:
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()


async def _cancelled() -> None:
    """As by an interrupt that asyncio has not counted."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()


@pytest.mark.parametrize("work", [_interrupted, _cancelled])
def test_an_interrupt_is_told_as_one(work: Callable[[], Coroutine[None, None, None]]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_loop(work())
    with asyncio.Runner() as runner, pytest.raises(KeyboardInterrupt):
        run_in(runner, work())


def test_the_result_comes_back() -> None:
    async def seven() -> int:
        return 7

    assert run_loop(seven()) == 7


def test_another_signal_ends_what_runs_as_an_interrupt_does() -> None:
    """Wherever it comes: every task of the loop ends by being cancelled, none by an exception that nobody retrieves."""
    ended = []

    async def worker(*, is_hit: bool) -> None:
        try:
            if is_hit:
                signal.raise_signal(signal.SIGUSR1)
            await asyncio.Event().wait()
        except BaseException as error:
            ended.append(type(error))
            raise

    async def work() -> None:
        await asyncio.gather(worker(is_hit=False), worker(is_hit=True))

    before = signal.signal(signal.SIGUSR1, as_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_loop(work())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended == [asyncio.CancelledError, asyncio.CancelledError]
