"""The durable log in the asyncio world: one writer thread, group commit.

The loop encodes (Wal.stage), the thread writes and syncs (Job.run, one system call as a rule), so that the two hand the
interpreter's lock to each other as seldom as possible. While a job is on the disk the next one is prepared; what comes
meanwhile goes into the one after it, whole: the slower the disk, the larger the groups.

Segments are made and removed by a second thread: that takes tens of milliseconds, in which the writer would write nothing,
and at all members at once, since their logs are the same.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from raftwerk.errors import DiskFull
from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Index
from raftwerk.runtime.background import BackgroundThread
from raftwerk.wal.log import Job, Wal

JOBS_MAX: Final = 2
"""Handed to the thread and not yet done: one on the disk, one ready."""
RESERVE_MS: Final = 500
RETRY_S: Final = 1.0
"""After the disk was full."""


class WalJournal:
    """Implements replica.ports.Journal over a Wal."""

    def __init__(
        self,
        wal: Wal,
        loop: asyncio.AbstractEventLoop,
        on_persisted: Callable[[int], None],
        on_failed: Callable[[Exception], None],
        observe_sync_s: Callable[[float], None],
    ) -> None:
        """on_persisted: gets the last ticket of each job, on the loop. on_failed: the log cannot be written any more."""
        self._wal = wal
        self._loop = loop
        self._on_persisted = on_persisted
        self._on_failed = on_failed
        self._observe_sync_s = observe_sync_s
        self._waiting: list[Persist] = []
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._job_count = 0
        self._silent_ms = 0
        self._reserving: Job | None = None
        self._stopping = threading.Event()
        self._keeper = BackgroundThread("raftwerk-segments", loop, on_failed)
        self._writer = threading.Thread(target=self._run, name="raftwerk-wal", daemon=True)
        self._writer.start()

    @property
    def has_room(self) -> bool:
        return self._wal.has_room

    def persist(self, persist: Persist) -> None:
        self._waiting.append(persist)
        self._stage()

    def compact(self, index: Index) -> None:
        job = self._wal.compact(index)
        if job is not None:
            self._jobs.put(job)

    def tick(self, elapsed_ms: int) -> None:
        """See to it from time to time that a spare segment is ready: a full disk may have room again."""
        self._silent_ms += elapsed_ms
        if self._silent_ms >= RESERVE_MS:
            self._silent_ms = 0
            if self._wal.needs_reserve:
                self._reserve()

    def _reserve(self) -> None:
        if self._reserving is None:
            self._reserving = self._wal.reserve()
            self._jobs.put(self._reserving)

    def _stage(self) -> None:
        if self._waiting and self._job_count < JOBS_MAX:
            job = self._wal.stage(self._waiting)
            self._waiting = []
            self._job_count += 1
            self._jobs.put(job)

    def _done(self, ticket: int, elapsed_s: float) -> None:
        self._job_count -= 1
        try:
            self._stage()
            if self._wal.is_spare_taken:  # a fast log does not wait for the tick
                self._reserve()
        except Exception as error:  # noqa: BLE001  (a bug of ours: the node must not wait for ever)
            self._on_failed(error)
            return
        self._observe_sync_s(elapsed_s)
        self._on_persisted(ticket)

    def _run(self) -> None:
        """The writer thread."""
        while (job := self._jobs.get()) is not None:
            if not job.last_ticket:
                self._keep(job)
                continue
            started = time.perf_counter()
            try:
                while not self._try(job):
                    if self._stopping.wait(RETRY_S):
                        return
            except Exception as error:  # noqa: BLE001  (whatever it is, the node must not go on)
                self._loop.call_soon_threadsafe(self._on_failed, error)
                return
            elapsed_s = time.perf_counter() - started
            self._loop.call_soon_threadsafe(self._done, job.last_ticket, elapsed_s)

    def _keep(self, job: Job) -> None:
        """Let the other thread do it: what was handed over before is durable now, what comes later need not wait."""
        self._keeper.run(job.run, lambda result: self._kept(job, result))

    def _kept(self, job: Job, result: Exception | None) -> None:
        if job is self._reserving:
            self._reserving = None
        if isinstance(result, DiskFull):
            self._loop.call_later(RETRY_S, self._keep, job)
        elif result is not None:
            self._on_failed(result)

    @staticmethod
    def _try(job: Job) -> bool:
        try:
            job.run()
        except DiskFull:
            return False  # nothing was lost: again, when there is space
        return True

    def close(self) -> None:
        """Finish what was handed over, and close the files. Persists still waiting to be staged were never vouched for."""
        self._stopping.set()
        self._jobs.put(None)
        self._writer.join()
        self._keeper.close()
        self._wal.close()
