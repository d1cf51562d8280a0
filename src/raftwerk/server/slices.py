"""Long reads in slices: one slice of one of them in each turn of the loop, however many there are. Short answers go before."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Final, Protocol, TypeAlias, TypeVar

from raftwerk.api import status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import KvError
from raftwerk.server.calls import Answering
from raftwerk.server.port import Node

ACTIVE_MAX: Final = 16
"""Reads in progress: each holds what it has read so far. The others wait for their first slice."""
TURN_S: Final = 0.004
"""When short answers and first slices took this long, the next one waits for another turn of the loop."""
WAITING_MAX: Final = 10_000
"""Reads of calls that wait for their first slice; more are refused."""
REMOVED_ROWS: Final = 200
"""Of what was compacted, in one turn of the loop: less than a millisecond."""

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
        self._short: deque[tuple[Call, Callable[[], None], Status]] = deque()
        self._is_due = False
        self._spent_s = 0.0
        """On slices since the last turn here; at least what this turn of the loop has spent on them."""

    def answer(self, call: Call, steps: Steps) -> None:
        """Start a read for a call, unless too many wait already: clients can ask for any number of them."""
        if len(self._waiting) < WAITING_MAX:
            self.start(call, _answered(call, steps))
        else:
            steps.close()
            call.finish(*status.TOO_MANY_REQUESTS)

    def answer_short(self, call: Call, begin: Callable[[], Steps]) -> None:
        """Of a read that is most often one slice, which comes soon, and waits for no long read.

        If it turns out to be long, it begins anew as one: what waits has read nothing, or memory had no bound.
        """

        def do_first() -> None:
            steps = begin()
            if next(steps, steps) is None:
                steps.close()
                self.answer(call, begin())

        self.answer_soon(call, do_first)

    def answer_soon(
        self, call: Call, answer: Callable[[], None], no_answer: Status = status.NO_ANSWER
    ) -> None:
        """A short answer: at once, unless those of this turn of the loop took too long already; many may come together.

        Never refused: those that wait are no more than the calls that are open, and the puts in them.

        no_answer: see calls.Answering.
        """
        self._short.append((call, answer, no_answer))
        if len(self._short) == 1:
            self._answer_short()
        self._wake()

    def _answer_short(self) -> None:
        """For as long as there is time, in the order in which they came."""
        while self._short and self._spent_s < TURN_S:
            call, answer, no_answer = self._short.popleft()
            if call.is_over:
                continue
            began_s = self._loop.time()
            try:
                with Answering(call, no_answer):
                    answer()
            finally:
                self._spent_s += self._loop.time() - began_s

    def start(self, reader: Reader, steps: Steps) -> None:
        """Do the first slice, which may be all: now, if this turn of the loop has time for it and no other read waits.

        A reader that is over gets no further slice: its steps are closed.
        """
        if self._has_room and not self._waiting:
            self._slice(reader, steps)
        else:
            self._waiting.append((reader, steps))
        self._wake()

    @property
    def _has_room(self) -> bool:
        return len(self._active) < ACTIVE_MAX and self._spent_s < TURN_S

    def _slice(self, reader: Reader, steps: Steps) -> None:
        if reader.is_over:
            steps.close()
            return
        began_s = self._loop.time()
        try:
            if next(steps, steps) is None:
                self._active.append((reader, steps))
        finally:
            self._spent_s += self._loop.time() - began_s

    def _wake(self) -> None:
        if (self._active or self._waiting or self._short) and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Short answers, one slice of a read in progress, then first slices while there is time: none waits for others."""
        self._is_due = False
        self._spent_s = 0.0
        try:
            self._answer_short()
            if self._active:
                self._slice(*self._active.popleft())
            while self._waiting and len(self._active) < ACTIVE_MAX:
                self._slice(*self._waiting.popleft())
                if self._spent_s >= TURN_S:
                    break
        finally:
            self._wake()  # what goes wrong with one read does not hold up the others


def _answered(call: Call, steps: Steps) -> Steps:
    with Answering(call):
        yield from steps


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


def remove_in_slices(node: Node) -> Steps:
    """Have what was compacted removed, for somebody who waits for it: sooner than by the ticks of the clock alone.

    Not while the disk is full: it would be in memory only that it is gone, and a member may hold only so much there.
    """
    while not node.is_disk_full and node.machine.maintain(REMOVED_ROWS):
        yield
