"""One thread for what may block on the disk, beside the loop. Implements replica.ports.Background."""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundThread:
    """Runs jobs one at a time, in order.

    run_slice makes the loop wait while the job runs: a job that calls into LMDB gives the interpreter's lock away at each
    call, and beside a busy loop would get it back 5 ms later each time. While the loop waits, it gets it back at once.
    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        on_failed: Callable[[Exception], None],
        observe_s: Callable[[float], None] | None = None,
    ) -> None:
        """on_failed: called on the loop with what a `done` raised: a bug of ours, nobody else would hear of it.

        observe_s: gets on the loop how long each job of `run` took.
        """
        self._observe_s = observe_s
        self._loop = loop
        self._on_failed = on_failed
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `job` in the thread; later, on the loop, call `done` with its result or the exception that it raised."""

        def settle(result: T | Exception, elapsed_s: float) -> None:
            try:
                if self._observe_s is not None:
                    self._observe_s(elapsed_s)
                done(result)
            except Exception as error:  # noqa: BLE001  (handed on: a lost callback must not go unnoticed)
                self._on_failed(error)

        def call() -> None:
            started = time.perf_counter()
            result = _result_of(job)
            self._loop.call_soon_threadsafe(settle, result, time.perf_counter() - started)

        self._jobs.put(call)

    def run_slice(self, job: Callable[[], T]) -> T:
        """Run `job` in the thread, wait for it, and return what it returned or raise what it raised."""
        reply: SimpleQueue[Any] = SimpleQueue()
        self._jobs.put(lambda: reply.put(_result_of(job)))
        result = reply.get()
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]  # of type T: what `job` returned

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def close(self) -> None:
        """Finish what was handed over, and end the thread. What it calls back for later comes, if the loop still runs."""
        self._jobs.put(None)
        self._thread.join()


def _result_of(job: Callable[[], T]) -> T | Exception:
    try:
        return job()
    except Exception as error:  # noqa: BLE001  (handed to the loop, which settles it)
        return error
