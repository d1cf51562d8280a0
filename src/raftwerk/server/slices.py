"""Long reads in slices: one slice of one of them in each turn of the loop, however many there are."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Final, Protocol, TypeAlias, TypeVar

from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import KvError

ACTIVE_MAX: Final = 16
"""Reads in progress: each holds what it has read so far. The others wait for their first slice."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Steps: TypeAlias = Generator[None, None, None]
"""Does the next slice of the work when it is asked for more, and answers the call at its end."""


class Reader(Protocol):
    """Whom a read is for: most often a call."""

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for the rest."""


class Slices:
    """All long reads of this node, in turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._active: deque[tuple[Reader, Steps]] = deque()
        self._waiting: deque[tuple[Reader, Steps]] = deque()
        self._is_due = False

    def start(self, reader: Reader, steps: Steps) -> None:
        """Do the first slice now, which may be all. A reader that is over gets no further one: its steps are closed."""
        if len(self._active) < ACTIVE_MAX:
            self._slice(reader, steps)
        else:
            self._waiting.append((reader, steps))

    def _slice(self, reader: Reader, steps: Steps) -> None:
        if reader.is_over:
            steps.close()
        elif next(steps, steps) is None:
            self._active.append((reader, steps))
            self._wake()

    def _wake(self) -> None:
        if (self._active or self._waiting) and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        is_room = len(self._active) < ACTIVE_MAX
        queue = self._waiting if self._waiting and is_room else self._active
        reader, steps = queue.popleft()
        self._wake()  # first: what goes wrong with one read does not hold up the others
        self._slice(reader, steps)


class Scan(Protocol[T_co]):
    """A read in progress (kv.read, kv.compaction)."""

    def step(self, max_rows: int) -> T_co | None: ...

    def close(self) -> None: ...


def read_in_slices(
    machine: KvMachine, begin: Callable[[], Scan[T] | KvError], rows: int
) -> Generator[None, None, T | KvError]:
    """The result of a read, `rows` rows a slice. If a snapshot replaces the state meanwhile, the read begins anew."""
    while True:
        restores = machine.restores
        scan = begin()
        if isinstance(scan, KvError):
            return scan
        try:
            while machine.restores == restores:
                result = scan.step(rows)
                if result is not None:
                    return result
                yield
        finally:
            scan.close()
