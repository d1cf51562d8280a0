"""Jobs beside the loop in the virtual world: one at a time, in order, each taking its time on the disk."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from raftwerk.errors import DiskFull
from raftwerk.sim.disk import SimDisk
from raftwerk.sim.journal import DiskTimes
from raftwerk.sim.world import World

T = TypeVar("T")


class SimBackground:
    """Implements replica.ports.Background."""

    def __init__(self, world: World, disk: SimDisk, times: DiskTimes) -> None:
        self._world = world
        self._disk = disk
        self._times = times
        self._jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self._is_busy = False
        self._is_dead = False

    def run(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        self._jobs.append((job, done))
        if not self._is_busy:
            self._is_busy = True
            self._world.after(self._times.draw_us(), self._finish)

    def run_slice(self, job: Callable[[], T]) -> T:
        return job()

    def _finish(self) -> None:
        if self._is_dead:
            return
        self._carry_out()
        self._is_busy = bool(self._jobs)
        if self._is_busy:
            self._world.after(self._times.draw_us(), self._finish)

    def _carry_out(self) -> None:
        job, done = self._jobs.popleft()
        result: Any
        if self._disk.is_full:
            result = DiskFull("no space left")
        else:
            try:
                result = job()
            except Exception as error:  # noqa: BLE001  (as the real one: handed to the loop)
                result = error
        done(result)

    def crash(self, random: Random) -> None:
        """What was under way was done, though nobody heard of it, or it was not."""
        if self._jobs and not self._is_dead and random.random() < 0.5:
            self._carry_out()
        self._is_dead = True
