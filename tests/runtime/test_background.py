"""The thread beside the loop: order, results, and that nothing fails unheard."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raftwerk.runtime.background import BackgroundThread

Body = Callable[[BackgroundThread, list[Exception]], Awaitable[None]]


def with_thread(body: Body) -> None:
    """Run `body` with a thread and the list of what it reported as failed."""

    async def main() -> None:
        failures: list[Exception] = []
        loop = asyncio.get_running_loop()
        background = BackgroundThread("raftwerk-test", loop, failures.append)
        try:
            async with asyncio.timeout(10):
                await body(background, failures)
        finally:
            background.close()
        assert all(thread.name != "raftwerk-test" for thread in threading.enumerate())

    asyncio.run(main())


def result_of(background: BackgroundThread, job: Callable[[], Any]) -> "asyncio.Future[Any]":
    future = asyncio.get_running_loop().create_future()
    background.run(job, future.set_result)
    return future


def test_jobs_run_in_order_and_off_the_loop() -> None:
    async def body(background: BackgroundThread, _: list[Exception]) -> None:
        ran: list[int] = []
        results = [
            result_of(background, lambda number=number: ran.append(number)) for number in range(50)
        ]
        thread = await result_of(background, lambda: threading.current_thread().name)
        await asyncio.gather(*results)
        assert (ran, thread) == (list(range(50)), "raftwerk-test")

    with_thread(body)


def test_done_is_called_on_the_loop_with_the_result() -> None:
    async def body(background: BackgroundThread, _: list[Exception]) -> None:
        called_in: list[threading.Thread] = []
        done = asyncio.Event()

        def on_done(result: object) -> None:
            called_in.append(threading.current_thread())
            assert result == "result"
            done.set()

        background.run(lambda: "result", on_done)
        await done.wait()
        assert called_in == [threading.main_thread()]

    with_thread(body)


def test_what_a_job_raises_is_its_result_and_the_next_one_runs() -> None:
    async def body(background: BackgroundThread, failures: list[Exception]) -> None:
        error = await result_of(background, lambda: 1 // 0)
        assert isinstance(error, ZeroDivisionError)
        assert await result_of(background, lambda: 42) == 42
        assert failures == []

    with_thread(body)


def test_what_done_raises_is_reported() -> None:
    """A callback that breaks off leaves something half done: the node must hear of it."""

    async def body(background: BackgroundThread, failures: list[Exception]) -> None:
        background.run(lambda: 0, lambda number: 1 // number)  # type: ignore[operator]
        await result_of(background, lambda: None)
        assert [type(failure) for failure in failures] == [ZeroDivisionError]

    with_thread(body)


def test_run_slice_waits_and_returns() -> None:
    async def body(background: BackgroundThread, _: list[Exception]) -> None:
        thread = background.run_slice(threading.current_thread)
        assert thread.name == "raftwerk-test"

    with_thread(body)


def test_run_slice_raises_what_the_job_raises() -> None:
    async def body(background: BackgroundThread, _: list[Exception]) -> None:
        with pytest.raises(ZeroDivisionError):
            background.run_slice(lambda: 1 // 0)

    with_thread(body)


def test_slice_runs_after_the_jobs_before_it() -> None:
    async def body(background: BackgroundThread, _: list[Exception]) -> None:
        ran: list[str] = []
        first = result_of(background, lambda: ran.append("job"))
        background.run_slice(lambda: ran.append("slice"))
        assert ran == ["job", "slice"]
        await first

    with_thread(body)


def test_close_finishes_what_was_handed_over() -> None:
    async def main() -> list[int]:
        ran: list[int] = []
        background = BackgroundThread("raftwerk-test", asyncio.get_running_loop(), ran.clear)
        for number in range(20):
            background.run(lambda number=number: ran.append(number), lambda _: None)
        background.close()
        return ran

    assert asyncio.run(main()) == list(range(20))


def test_duration_of_a_job_is_told() -> None:
    async def main() -> None:
        told: list[float] = []
        loop = asyncio.get_running_loop()
        thread = BackgroundThread("t", loop, pytest.fail, told.append)
        done: asyncio.Future[object] = loop.create_future()
        thread.run(lambda: "result", done.set_result)
        assert await done == "result"
        thread.close()
        (duration_s,) = told
        assert duration_s > 0

    asyncio.run(main())
