"""A load of watches: keys with a number of watchers each, while others put. How long an event takes, and how many come.

Delay: one put at a time, from before it is sent until the last of the key's watchers has its event. Throughput: writers put
as fast as they may, until every watcher has every event.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final

import uvloop

from raftwerk.api import rpc_pb2, status
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from raftwerk.client.channel import Channel, Stream
from raftwerk.client.endpoints import parse_endpoints, tls_contexts
from raftwerk.client.errors import CallFailed
from raftwerk.client.load import no_tls
from raftwerk.client.load_requests import KEY_FORMAT
from raftwerk.client.load_run import Run, Tls
from raftwerk.client.load_types import Load, Result, summary
from raftwerk.http2.client import Answer
from raftwerk.runtime.addresses import Address

DELAYS: Final = 100
"""Puts whose delay is measured."""


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What came of it. put: of the writers, while events were counted."""

    events: int
    events_per_second: float
    delay_p50_ms: float
    delay_p99_ms: float
    put: Result


class _Counter:
    """Counts what arrives, and wakes whoever waits for a number of them."""

    def __init__(self) -> None:
        self.count = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    def add(self, count: int) -> None:
        self.count += count
        if self.count >= self._wanted:
            self._reached.set()

    async def reach(self, count: int) -> None:
        self._wanted = count
        self._reached.clear()
        if self.count < count:
            await self._reached.wait()


class _Watching:
    """Streams with watchers, and one connection for puts that are waited for."""

    def __init__(self, load: Load, watchers: int) -> None:
        self._load = load
        self._watchers = watchers
        self._created = _Counter()
        self.events = _Counter()
        self._channels: list[Channel] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, addresses: Sequence[Address], context: ssl.SSLContext | None) -> None:
        """Until all watchers are there. Raises OSError or CallFailed."""
        load = self._load
        streams = []
        places = [*zip(addresses, tls_contexts(addresses, context), strict=True)]
        self._channels = [
            Channel(*place) for _, place in zip(range(load.connections + 1), cycle(places))
        ]
        for channel in self._channels:
            await channel.connect()
        self._putter, *watching = self._channels
        for channel in watching:
            stream = channel.stream("/etcdserverpb.Watch/Watch", load.metadata)
            streams.append(stream)
            self._tasks.append(asyncio.create_task(self._receive(stream)))
        names = [KEY_FORMAT % number for number in range(load.keys) for _ in range(self._watchers)]
        for name, stream in zip(names, cycle(streams)):
            create = WatchCreateRequest(key=name)
            stream.send(WatchRequest(create_request=create).SerializeToString())
        await self.wait_for(self._created, len(names))

    async def _receive(self, stream: Stream) -> None:
        try:
            while not isinstance(message := await stream.receive(), Answer):
                response = WatchResponse.FromString(message)
                if response.canceled:
                    raise CallFailed(status.CANCELLED, response.cancel_reason)
                self._created.add(response.created)
                self.events.add(len(response.events))
            raise CallFailed(message.status, f"a watch ended: {message.text}")
        finally:
            stream.close()

    async def wait_for(self, counter: _Counter, count: int) -> None:
        """Until it has come, or a stream has ended too early: raises CallFailed."""
        reached = asyncio.ensure_future(counter.reach(count))
        async with asyncio.timeout(self._load.answer_timeout_s):
            done, _ = await asyncio.wait(
                [reached, *self._tasks], return_when=asyncio.FIRST_COMPLETED
            )
        if reached not in done:
            reached.cancel()
            next(iter(done)).result()

    async def delay(self, number: int) -> float:
        """Seconds from before a put until all who watch have it."""
        request = rpc_pb2.PutRequest(key=KEY_FORMAT % (number % self._load.keys))
        request.value = bytes(self._load.value_bytes)
        before = self.events.count
        started = time.perf_counter()
        answer = await self._putter.call(
            "/etcdserverpb.KV/Put", request.SerializeToString(), self._load.metadata
        )
        if answer.status:
            raise CallFailed(answer.status, answer.text)
        await self.wait_for(self.events, before + self._watchers)
        return time.perf_counter() - started

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            channel.close()
        await asyncio.sleep(0)  # for the connections to be closed before the loop is


async def _run(load: Load, watchers: int, addresses: Sequence[Address], tls: Tls) -> WatchResult:
    watching = _Watching(load, watchers)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(watching.stop)
        await watching.start(addresses, tls())
        delays = sorted([await watching.delay(number) for number in range(DELAYS)])
        before = watching.events.count
        writers = Run(replace(load, connections=1))
        connections = await writers.connect(addresses, tls)
        started = time.perf_counter()
        put = summary([await writers.go(connections)])
        await watching.wait_for(watching.events, before + put.requests * watchers)
        seconds = time.perf_counter() - started
        events = watching.events.count - before
    return WatchResult(
        events=events,
        events_per_second=round(events / seconds, 1),
        delay_p50_ms=round(1e3 * delays[len(delays) // 2], 3),
        delay_p99_ms=round(1e3 * delays[len(delays) * 99 // 100], 3),
        put=put,
    )


def run(load: Load, watchers: int, endpoints: Sequence[str], *, tls: Tls = no_tls) -> WatchResult:
    """`watchers` of each of the load's keys, on its connections, while its clients put over one connection more.

    Raises OSError or TimeoutError when the endpoints cannot be reached or events do not come, CallFailed for a watch or a put
    that fails, UsageError when there are no endpoints.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(load, watchers, parse_endpoints(endpoints), tls))
