"""Watches on etcd and on raftwerk: events a second, and how long one takes from the writer to the watchers.

python -m benchmarks.watch [--rounds 3] [--quick]

Two shapes: one key with 1,000 watchers, and 1,000 keys with one watcher each, on 10 streams over 10 connections to the
leader of three nodes. Throughput: writers put as fast as they may while all events are counted. Delay: one put at a time,
from before it is sent until the last watcher has its event. Rounds alternate between the systems; medians are printed.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import Final, cast

import uvloop

from benchmarks.clusters import SYSTEMS, Node, running
from raftwerk.api import rpc_pb2
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from raftwerk.http2.client import Answer, ClientCall, ClientConnection
from raftwerk.http2.limits import Limits

LIMITS: Final = Limits(message_bytes_max=2**31 - 1)
STREAMS: Final = 10
WRITERS: Final = 32
TIMEOUT_S: Final = 300.0
VALUE: Final = b"x" * 100
_EVENT_TAG: Final = 0x5A


@dataclass(frozen=True, slots=True)
class Shape:
    """watchers: of each key."""

    name: str
    keys: int
    watchers: int
    puts: int


@dataclass(frozen=True, slots=True)
class Result:
    """cpu_us: of the three servers, an event."""

    events_per_second: float
    delay_ms: float
    cpu_us: float


class Connection(asyncio.Protocol):
    """A connection of the load generator."""

    def __init__(self, authority: str) -> None:
        self.engine = ClientConnection(authority, LIMITS)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.engine.receive(data)
        self.flush()

    def flush(self) -> None:
        if self._transport is not None and self.engine.has_output:
            self._transport.write(self.engine.take_output())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Counter:
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
            async with asyncio.timeout(TIMEOUT_S):
                await self._reached.wait()


class Run:
    """One shape against one cluster."""

    def __init__(self, shape: Shape, leader: Node) -> None:
        self._shape = shape
        self._leader = leader
        self._created = Counter()
        self._events = Counter()
        self._connections: list[Connection] = []

    async def measure(self, nodes: Sequence[Node]) -> Result:
        shape = self._shape
        await self._watch()
        self._writer = await self._connect()
        delays = [await self._delay(number) for number in range(50)]
        before, start = self._events.count, time.perf_counter()
        cpu = sum(node.cpu_s for node in nodes)
        await self._write()
        await self._events.reach(before + shape.puts * shape.watchers)
        seconds = time.perf_counter() - start
        cpu = sum(node.cpu_s for node in nodes) - cpu
        events = self._events.count - before
        for connection in self._connections:
            connection.close()
        return Result(events / seconds, 1e3 * median(delays), 1e6 * cpu / events)

    async def _connect(self) -> Connection:
        host, _, port = self._leader.endpoint.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._leader.endpoint), host, int(port)
        )
        self._connections.append(connection)
        return connection

    async def _watch(self) -> None:
        shape = self._shape
        connections = [await self._connect() for _ in range(STREAMS)]
        streams = [self._open(connection) for connection in connections]
        names = [b"%04d" % number for number in range(shape.keys) for _ in range(shape.watchers)]
        for name, stream in zip(names, cycle(streams), strict=False):
            create = WatchCreateRequest(key=name)
            stream.send(WatchRequest(create_request=create).SerializeToString())
        for connection in connections:
            connection.flush()
        await self._created.reach(len(names))

    def _open(self, connection: Connection) -> ClientCall:
        def on_message(message: bytes) -> None:
            response = WatchResponse.FromString(message)
            if response.created:
                self._created.add(1)
            else:
                self._events.add(len(response.events))

        return connection.engine.open("/etcdserverpb.Watch/Watch", _ended, on_message)

    async def _delay(self, number: int) -> float:
        start = time.perf_counter()
        before = self._events.count
        self._put(number % self._shape.keys, lambda _: None)
        await self._events.reach(before + self._shape.watchers)
        return time.perf_counter() - start

    async def _write(self) -> None:
        """Each writer puts again when its last put is answered."""
        left = self._shape.puts

        def next_put(answer: Answer | None) -> None:
            nonlocal left
            assert answer is None or answer.status == 0, f"a put failed: {answer}"
            if left:
                left -= 1
                self._put(left % self._shape.keys, next_put)

        for _ in range(WRITERS):
            next_put(None)

    def _put(self, key: int, done: object) -> None:
        request = rpc_pb2.PutRequest(key=b"%04d" % key, value=VALUE).SerializeToString()
        self._writer.engine.call("/etcdserverpb.KV/Put", request, done)  # type: ignore[arg-type]
        self._writer.flush()


def _ended(answer: Answer) -> None:
    assert answer.text == "connection lost" or not answer.status, f"a watch ended: {answer}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    scale = 10 if given.quick else 1
    shapes = [
        Shape("1 key x 1,000 watchers", 1, 1000, 1000 // scale),
        Shape("1,000 keys x 1 watcher", 1000, 1, 20_000 // scale),
    ]
    results: dict[tuple[str, str], list[Result]] = {}
    for _ in range(given.rounds):
        for system in SYSTEMS:
            with running(system) as nodes:
                for shape in shapes:
                    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                        result = runner.run(Run(shape, nodes[0]).measure(nodes))
                    results.setdefault((shape.name, system), []).append(result)
    for (shape_name, system), rounds in sorted(results.items()):
        print(
            f"{shape_name:24} {system:9}"
            f" {median(one.events_per_second for one in rounds):10,.0f} events/s"
            f" {median(one.delay_ms for one in rounds):8.2f} ms"
            f" {median(one.cpu_us for one in rounds):8.2f} us CPU an event"
        )


if __name__ == "__main__":
    main()
