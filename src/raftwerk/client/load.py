"""A load: clients that each have one request under way, over a number of connections, in one process or several.

`run` puts it on a cluster of raftwerk or of etcd and says what came of it. There is no task, future or object for a request.
With a rate, requests are due at even times whether or not there is a client for them, and are measured from when they were
due: what had to wait for an answer that was late counts as late too.
"""

import asyncio
import contextlib
import multiprocessing
import random
import resource
import ssl
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Final, cast

import uvloop

from raftwerk.client.connection import reason_of
from raftwerk.client.endpoints import parse_endpoints, tls_contexts
from raftwerk.client.load_requests import Operation, Template, key_drawer, templates
from raftwerk.errors import UsageError
from raftwerk.http2 import frames
from raftwerk.http2.grpc import UNAVAILABLE
from raftwerk.http2.limits import Limits
from raftwerk.http2.unary import UnaryConnection
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.dialling import reach

LIMITS: Final = Limits(stream_window_bytes=frames.WINDOW_MAX, connection_window_bytes=2**30)
CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 60.0
PACE_S: Final = 0.001
"""Between two looks at what is due."""

Tls = Callable[[], ssl.SSLContext | None]


def no_tls() -> ssl.SSLContext | None:
    """For endpoints without."""
    return None


@dataclass(frozen=True, slots=True)
class Load:
    """What to do, until `requests` were made or `seconds` are over. rate: requests a second in all; 0: as fast as it goes.

    answer_timeout_s: it fails when none of the answers, or of the events of a watch, came for so long.
    """

    operation: Operation
    connections: int = 1
    clients: int = 1
    requests: int = 0
    seconds: float = 0.0
    value_bytes: int = 256
    keys: int = 100_000
    rate: float = 0.0
    metadata: bytes = b""
    """Further headers, encoded."""
    answer_timeout_s: float = ANSWER_TIMEOUT_S


@dataclass(slots=True)
class Outcome:
    """What came of it, in one process. Latencies of answers with status 0, in seconds; errors: how many, by status.

    error_texts: what a server said last with a status.
    """

    latencies_s: "array[float]"
    errors: dict[int, int]
    seconds: float
    cpu_s: float
    error_texts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. client_cpu_us: of the load generator, a request."""

    requests: int
    errors: dict[int, int]
    error_texts: dict[int, str]
    seconds: float
    per_second: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    client_cpu_us: float


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


def summary(outcomes: Sequence[Outcome]) -> Result:
    """Of all processes together."""
    latencies = sorted(seconds for outcome in outcomes for seconds in outcome.latencies_s)
    errors: dict[int, int] = {}
    texts: dict[int, str] = {}
    for outcome in outcomes:
        texts.update(outcome.error_texts)
        for status, count in outcome.errors.items():
            errors[status] = errors.get(status, 0) + count
    count = len(latencies)
    seconds = max(outcome.seconds for outcome in outcomes)
    cpu_s = sum(outcome.cpu_s for outcome in outcomes)

    def at(part: float) -> float:
        return round(1e3 * latencies[min(count - 1, int(count * part))], 3) if count else 0.0

    return Result(
        requests=count,
        errors=errors,
        error_texts=texts,
        seconds=round(seconds, 4),
        per_second=round(count / seconds, 1),
        mean_ms=round(1e3 * sum(latencies) / max(1, count), 3),
        p50_ms=at(0.5),
        p90_ms=at(0.9),
        p99_ms=at(0.99),
        p999_ms=at(0.999),
        max_ms=at(1.0),
        client_cpu_us=round(1e6 * cpu_s / max(1, count), 1),
    )


def shares(load: Load, processes: int) -> list[Load]:
    """What each process does. Raises UsageError if there is less than one connection for each."""
    if not 0 < processes <= load.connections <= load.clients:
        raise UsageError(
            "a load takes at least one connection a process, and one client for each: "
            f"not --processes {processes}, --connections {load.connections}, --clients {load.clients}"
        )
    if not (load.requests or load.seconds):
        raise UsageError("a load ends after so many requests, or seconds: tell one of them")

    def share(whole: int, place: int) -> int:
        return whole // processes + (place < whole % processes)

    return [
        replace(
            load,
            connections=share(load.connections, place),
            clients=share(load.clients, place),
            requests=share(load.requests, place),
            rate=load.rate / processes,
        )
        for place in range(processes)
    ]


def run(load: Load, endpoints: Sequence[str], *, processes: int = 1, tls: Tls = no_tls) -> Result:
    """Put `load` on `endpoints` (host:port or URLs), from this process or from several new ones.

    tls: makes the context, in each process. Raises UsageError for a load that is none or has nowhere to go, OSError or
    TimeoutError when the endpoints cannot be reached or stop to answer.
    """
    parts = shares(load, processes)
    addresses = parse_endpoints(endpoints)
    if processes == 1:
        return summary([_run_share(load, addresses, tls, 0, 1)])
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, context) as pool:
        gate = manager.Barrier(processes)
        futures = [
            pool.submit(_run_share, part, addresses, tls, place, processes, gate.wait)
            for place, part in enumerate(parts)
        ]
        return summary([future.result() for future in futures])


def _run_share(
    load: Load,
    addresses: Sequence[Address],
    tls: Tls,
    place: int,
    places: int,
    wait: Callable[[float], object] | None = None,
) -> Outcome:
    """wait: until all processes are connected."""
    first = place % len(addresses)
    shifted = [*addresses[first:], *addresses[:first]]

    async def connect_and_go() -> Outcome:
        run = Run(load, place, places)
        connections = await run.connect(shifted, tls)
        if wait is not None:
            await asyncio.to_thread(wait, CONNECT_TIMEOUT_S)
        return await run.go(connections)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(connect_and_go())
