"""One load in one process: clients that each have one request under way, over a number of connections.

There is no task, future or object for a request. With a rate, requests are due at even times whether or not there is a client
for them, and are measured from when they were due: what had to wait for an answer that was late counts as late too.
"""

import asyncio
import contextlib
import random
import resource
import ssl
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final, cast

from raftwerk.client.connection import reason_of
from raftwerk.client.endpoints import tls_contexts
from raftwerk.client.load_requests import Template, key_drawer, templates
from raftwerk.client.load_types import Load, Outcome
from raftwerk.http2 import frames
from raftwerk.http2.grpc import UNAVAILABLE
from raftwerk.http2.limits import Limits
from raftwerk.http2.unary import UnaryConnection
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.dialling import reach

LIMITS: Final = Limits(stream_window_bytes=frames.WINDOW_MAX, connection_window_bytes=2**30)
CONNECT_TIMEOUT_S: Final = 10.0
PACE_S: Final = 0.001
"""Between two looks at what is due."""

Tls = Callable[[], ssl.SSLContext | None]


class Connection(asyncio.Protocol):
    """One connection: as many requests under way as it has clients."""

    def __init__(self, authority: str, run: "Run", *, is_tls: bool) -> None:
        self._engine = UnaryConnection(authority, LIMITS, is_tls=is_tls)
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._started: dict[int, float] = {}
        self._requests = [
            (self._engine.block(one.path, run.load.metadata), one.message) for one in run.templates
        ]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        engine = self._engine
        engine.receive(data)
        if engine.answers:
            self._run.on_answers(self, engine.answers, self._started)
            engine.answers.clear()
        self.flush()
        if engine.is_closed or engine.peer_goaway is not None:
            self.close()

    def send(self, started: float) -> None:
        """One more request; flush sends it."""
        run = self._run
        block, message = self._requests[run.choose()]
        self._started[self._engine.call(block, message(run.draw_key()))] = started

    def flush(self) -> None:
        if self._transport is not None and self._engine.has_output:
            self._transport.write(self._engine.take_output())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._engine.lost()
        lost, self._started = len(self._started), {}
        self._run.on_lost(lost)

    @property
    def error_texts(self) -> dict[int, str]:
        return self._engine.texts

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Run:
    """One load of one process, from the first request to the last answer. place: of which of `places` processes."""

    def __init__(self, load: Load, place: int = 0, places: int = 1) -> None:
        self.load = load
        self.templates: list[Template] = templates(load.operation, load.value_bytes)
        self.draw_key = key_drawer(load.operation, load.keys, place, places)
        self._draw = random.Random(load.keys + place).random
        self._left = load.requests or 2**62
        self._ends_at = float("inf")
        self._due = 0.0
        self._interval_s = 1 / load.rate if load.rate else 0.0
        self._under_way = 0
        self._idle: deque[Connection] = deque()
        """A client each, who has nothing to do before the next request is due."""
        self._outcome = Outcome(array("d"), {}, 0.0, 0.0)
        self._is_finished = asyncio.Event()

    def choose(self) -> int:
        """Which of the templates is next."""
        return int(self._draw() * len(self.templates)) if len(self.templates) > 1 else 0

    def on_answers(
        self, connection: Connection, answers: list[tuple[int, int]], started: dict[int, float]
    ) -> None:
        """Measure them, and let their clients go on."""
        now = time.perf_counter()
        measured = self._outcome.latencies_s
        for stream_id, status in answers:
            at = started.pop(stream_id, None)
            if at is None:
                continue
            self._under_way -= 1
            if status:
                self._count_error(status, 1)
            else:
                measured.append(now - at)
            self._next(connection, now)
        if not self._under_way:
            self._end_if_over(now)

    def on_lost(self, count: int) -> None:
        """A connection is gone, with requests under way: their clients do not come back."""
        self._under_way -= count
        if count:
            self._count_error(UNAVAILABLE, count)
        if not self._under_way:
            self._is_finished.set()

    def _count_error(self, status: int, count: int) -> None:
        errors = self._outcome.errors
        errors[status] = errors.get(status, 0) + count

    def _next(self, connection: Connection, now: float) -> None:
        """A client of this connection is free."""
        if not self._left or now >= self._ends_at:
            return
        started = now
        if self._interval_s:
            if self._due > now:
                self._idle.append(connection)
                return
            started = self._due
            self._due += self._interval_s
        self._left -= 1
        self._under_way += 1
        connection.send(started)

    def _end_if_over(self, now: float) -> None:
        if not self._left or now >= self._ends_at:
            self._is_finished.set()

    async def connect(self, addresses: Sequence[Address], tls: Tls) -> list[Connection]:
        """Spread evenly over them. Raises OSError or TimeoutError."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return [
                await self._dial(address, tls)
                for _, address in zip(range(self.load.connections), cycle(addresses))
            ]

    async def _dial(self, address: Address, tls: Tls) -> Connection:
        (context,) = tls_contexts([address], tls())
        is_tls = context is not None
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(str(address), self, is_tls=is_tls),
                sock=await reach(address),
                ssl=context,
                server_hostname=address.host if is_tls else None,
            )
        except OSError as error:
            raise OSError(f"{address} cannot be reached: {reason_of(error)}") from error
        return connection

    async def go(self, connections: Sequence[Connection]) -> Outcome:
        """Raises TimeoutError when answers do not come."""
        load = self.load
        cpu_s = _cpu_s()
        started = self._due = time.perf_counter()
        if load.seconds:
            self._ends_at = started + load.seconds
        pacing = asyncio.create_task(self._pace()) if self._interval_s else None
        try:
            for _, connection in zip(range(load.clients), cycle(connections)):
                self._next(connection, started)
            for connection in connections:
                connection.flush()
            await self._until_finished()
            self._outcome.seconds = time.perf_counter() - started
            self._outcome.cpu_s = _cpu_s() - cpu_s
        finally:
            if pacing is not None:
                pacing.cancel()
            for connection in connections:
                self._outcome.error_texts.update(connection.error_texts)
                connection.close()
        return self._outcome

    async def _until_finished(self) -> None:
        answered = -1
        while not self._is_finished.is_set():
            came = len(self._outcome.latencies_s) + sum(self._outcome.errors.values())
            if self._under_way and came == answered:
                raise TimeoutError
            answered = came
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.load.answer_timeout_s):
                    await self._is_finished.wait()

    async def _pace(self) -> None:
        """Give what is due to clients that are idle, until no more is."""
        while self._left and not self._is_finished.is_set():
            now = time.perf_counter()
            if now >= self._ends_at:
                if not self._under_way:
                    self._is_finished.set()
                return
            while self._idle and self._due <= now and self._left:
                connection = self._idle.popleft()
                self._next(connection, now)
                connection.flush()
            await asyncio.sleep(PACE_S)


def _cpu_s() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
