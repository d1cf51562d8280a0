"""The durable log in the virtual world: the real Wal over a SimDisk, group commit as in the real journal.

One write is on the disk at a time, and takes its time there; what comes meanwhile goes into the next one, whole. Segments are
made and removed beside that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from raftwerk.errors import DataDirError, DiskFailed, DiskFull
from raftwerk.raft.effects import Persist
from raftwerk.raft.types import Index
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import PowerCut, SimDisk
from raftwerk.sim.world import World
from raftwerk.wal.log import Job, Wal

JOBS_MAX: Final = 2
RESERVE_MS: Final = 500
RETRY_US: Final = 1_000_000
"""After the disk was full."""
CRASH_STEPS: Final = (0, 0, 0, 1, 3)
STALL_US_MAX: Final = 3_000_000


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """How long a sync takes: exponential over a minimum; how often it stalls, and for how long at most.

    refused_chunks: how often a chunk of a snapshot finds no room, which has a second store beside the first and the log.
    """

    sync_min_us: int = 100
    sync_mean_us: int = 1_000
    stalling: float = 0.0
    stall_us: int = 1_000_000
    refused_chunks: float = 0.0


class DiskTimes:
    """Draws durations for one node's disk. slowdown: a factor that faults set."""

    def __init__(self, options: DiskOptions, random: Random) -> None:
        self._options = options
        self._random = random
        self.slowdown = 1

    def draw_us(self) -> int:
        options, random = self._options, self._random
        duration_us = options.sync_min_us + int(random.expovariate(1 / options.sync_mean_us))
        if options.stalling and random.random() < options.stalling:
            duration_us += random.randrange(options.stall_us)
        return min(duration_us * self.slowdown, STALL_US_MAX)


class SimJournal:
    """Implements replica.ports.Journal."""

    def __init__(
        self,
        wal: Wal,
        disk: SimDisk,
        world: World,
        times: DiskTimes,
        coverage: Coverage,
        on_persist: Callable[[Persist], None],
        on_persisted: Callable[[int], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """on_persist: at once, for the checkers. on_persisted: gets the last ticket of each job."""
        self._wal = wal
        self._disk = disk
        self._world = world
        self._times = times
        self._coverage = coverage
        self._on_persist = on_persist
        self._on_persisted = on_persisted
        self._on_failed = on_failed
        self._waiting: list[Persist] = []
        self._jobs: deque[Job] = deque()
        self._is_busy = False
        self._kept: deque[Job] = deque()
        """Of the second thread: what was before them is durable."""
        self._is_dead = False
        self._silent_ms = 0

    @property
    def has_room(self) -> bool:
        return self._wal.has_room

    def persist(self, persist: Persist) -> None:
        self._on_persist(persist)
        if persist.reset_to is not None:
            self._coverage.mark("wal: reset to a snapshot")
        if persist.truncate_from:
            self._coverage.mark("wal: truncated")
        self._waiting.append(persist)
        self._stage()

    def compact(self, index: Index) -> None:
        job = self._wal.compact(index)
        if job is not None:
            self._coverage.mark("wal: segments removed")
            self._add(job)

    def tick(self, elapsed_ms: int) -> None:
        """See to it from time to time that a spare segment is ready."""
        self._silent_ms += elapsed_ms
        if self._silent_ms >= RESERVE_MS:
            self._silent_ms = 0
            if self._wal.needs_reserve:
                self._add(self._wal.reserve())

    def _stage(self) -> None:
        writes = sum(job.last_ticket > 0 for job in self._jobs)
        if self._waiting and writes < JOBS_MAX:
            job = self._wal.stage(self._waiting)
            self._waiting = []
            self._add(job)

    def _add(self, job: Job) -> None:
        self._jobs.append(job)
        self._work()

    def _work(self) -> None:
        while not self._is_busy and self._jobs:
            if self._jobs[0].last_ticket:
                self._is_busy = True
                self._world.after(self._times.draw_us(), self._finish)
            else:
                self._keep(self._jobs.popleft())

    def _finish(self) -> None:
        job = self._jobs[0]
        if not self._run(job, self._finish):
            return
        self._jobs.popleft()
        self._is_busy = False
        self._stage()
        if self._wal.is_spare_taken:  # a fast log does not wait for the tick
            self._add(self._wal.reserve())
        self._work()
        self._on_persisted(job.last_ticket)

    def _keep(self, job: Job) -> None:
        self._kept.append(job)
        if len(self._kept) == 1:
            self._world.after(self._times.draw_us(), self._finish_kept)

    def _finish_kept(self) -> None:
        if not self._run(self._kept[0], self._finish_kept):
            return
        self._kept.popleft()
        if self._kept:
            self._world.after(self._times.draw_us(), self._finish_kept)

    def _run(self, job: Job, again: Callable[[], None]) -> bool:
        """Returns whether it is done; with no space, `again` is called later."""
        if self._is_dead:
            return False
        try:
            job.run()
        except DiskFull:
            self._world.after(RETRY_US, again)
            return False
        except DiskFailed as error:
            self._is_dead = True
            self._on_failed(error)
            return False
        return True

    def crash(self, random: Random) -> None:
        """The process or the power is gone: what both threads had under way, and perhaps a job after it, got to some point."""
        was_dead, self._is_dead = self._is_dead, True
        if was_dead:
            return
        self._disk.arm(random.choice(CRASH_STEPS))
        under_way = list(self._jobs)[: random.randint(0, 2)]
        if self._kept:  # what follows for its thread waits behind that (seed 79931131: else a gap, of the simulator's own making)
            under_way = [job for job in under_way if job.last_ticket]
            under_way.insert(random.randint(0, len(under_way)), self._kept[0])
        try:
            for job in under_way:
                job.run()
        except (PowerCut, DiskFull, DiskFailed):
            pass
        self._disk.disarm()


def crash_in_recovery(disk: SimDisk, recover: Callable[[SimDisk], object], random: Random) -> bool:
    """Recover a log, and lose the power at one of the steps that this takes. Returns whether it takes any, and got there."""
    rehearsal = SimDisk(random, Coverage())
    rehearsal.files, rehearsal.is_full = disk.copy_files(), disk.is_full
    try:
        recover(rehearsal)
    except (DataDirError, DiskFull):
        return False  # `start` will tell
    if not rehearsal.steps:
        return False
    disk.arm(random.randrange(rehearsal.steps))
    try:
        recover(disk)
    except (PowerCut, DiskFailed) as error:
        return isinstance(error, PowerCut)
    finally:
        disk.disarm()
    raise AssertionError("recovery took fewer steps than at the rehearsal")
