"""The load generator: clients that each have one request under way, over a number of connections, in one process.

python -m benchmarks.load --endpoints 127.0.0.1:2379 --operation put --connections 100 --clients 1000 --requests 20000

It runs on the project's own HTTP/2 engine without a task or a future per request, and prints one line of JSON.
"""

import argparse
import asyncio
import json
import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Final, cast

import uvloop

from raftwerk.api import rpc_pb2
from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.limits import Limits

LIMITS: Final = Limits(message_bytes_max=2**31 - 1)
CONNECT_TIMEOUT_S: Final = 10.0
RUN_TIMEOUT_S: Final = 300.0

MakeRequest = Callable[[], tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Load:
    """What to do. Sizes in bytes; keys are drawn evenly from `keys` of them."""

    operation: str
    connections: int
    clients: int
    requests: int
    value_bytes: int = 256
    keys: int = 100_000


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. Latencies in ms; cpu_us of this process, a request."""

    requests: int
    errors: int
    seconds: float
    per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    client_cpu_us: float


class Connection(asyncio.Protocol):
    """One connection: as many calls under way as it has clients."""

    def __init__(self, authority: str, run: "Run") -> None:
        self._engine = ClientConnection(authority, LIMITS)
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._is_writing_later = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._is_writing_later = (
            True  # the answers in this piece call for new requests: one write for all
        )
        self._engine.receive(data)
        self._is_writing_later = False
        self._flush()

    def start(self, clients: int) -> None:
        self._is_writing_later = True
        for _ in range(clients):
            self._call()
        self._is_writing_later = False
        self._flush()

    def _call(self) -> None:
        request = self._run.next_request()
        if request is None:
            return
        started = time.perf_counter()

        def done(answer: Answer) -> None:
            self._run.on_answer(answer, time.perf_counter() - started)
            self._call()

        self._engine.call(*request, done)

    def _flush(self) -> None:
        if self._transport is not None and self._engine.has_output and not self._is_writing_later:
            self._transport.write(self._engine.take_output())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._engine.lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Run:
    """One load, from the first request to the last answer."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._make = request_maker(load)
        self._left = load.requests
        self._latencies_s: list[float] = []
        self._errors = 0
        self._is_finished = asyncio.Event()

    def next_request(self) -> tuple[str, bytes] | None:
        if self._left == 0:
            return None
        self._left -= 1
        return self._make()

    def on_answer(self, answer: Answer, seconds: float) -> None:
        self._latencies_s.append(seconds)
        self._errors += answer.status != 0
        if len(self._latencies_s) == self.load.requests:
            self._is_finished.set()

    async def against(self, endpoints: Sequence[str]) -> Result:
        """Connections are spread over `endpoints` (host:port) evenly. Raises OSError or TimeoutError."""
        load = self.load
        connections = []
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            for _, endpoint in zip(range(load.connections), cycle(endpoints)):
                connections.append(await self._connect(endpoint))
        share = load.clients // load.connections
        before = cpu_s()
        started = time.perf_counter()
        for connection in connections:
            connection.start(share)
        async with asyncio.timeout(RUN_TIMEOUT_S):
            await self._is_finished.wait()
        seconds = time.perf_counter() - started
        cpu = cpu_s() - before
        for connection in connections:
            connection.close()
        return self._result(seconds, cpu)

    async def _connect(self, endpoint: str) -> Connection:
        host, _, port = endpoint.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(endpoint, self), host, int(port)
        )
        return connection

    def _result(self, seconds: float, cpu: float) -> Result:
        latencies = sorted(self._latencies_s)
        count = len(latencies)
        return Result(
            requests=count,
            errors=self._errors,
            seconds=round(seconds, 4),
            per_second=round(count / seconds, 1),
            mean_ms=round(1e3 * sum(latencies) / count, 3),
            p50_ms=round(1e3 * latencies[count // 2], 3),
            p99_ms=round(1e3 * latencies[count * 99 // 100], 3),
            client_cpu_us=round(1e6 * cpu / count, 1),
        )


def request_maker(load: Load) -> MakeRequest:
    """What makes the next request: its path and its message."""
    draw = random.Random(load.requests)
    value = bytes(draw.randrange(256) for _ in range(load.value_bytes))
    is_serializable = load.operation == "range-serializable"

    def key() -> bytes:
        return b"%08d" % draw.randrange(load.keys)

    def put() -> tuple[str, bytes]:
        request = rpc_pb2.PutRequest(key=key(), value=value)
        return "/etcdserverpb.KV/Put", request.SerializeToString()

    def read() -> tuple[str, bytes]:
        request = rpc_pb2.RangeRequest(key=key(), serializable=is_serializable)
        return "/etcdserverpb.KV/Range", request.SerializeToString()

    def txn() -> tuple[str, bytes]:
        puts = [
            rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"%d" % n + key(), value=value))
            for n in range(4)
        ]
        return "/etcdserverpb.KV/Txn", rpc_pb2.TxnRequest(success=puts).SerializeToString()

    def mixed() -> tuple[str, bytes]:
        return put() if draw.random() < 0.1 else read()

    makers = {"put": put, "range": read, "range-serializable": read, "txn": txn, "mixed": mixed}
    return makers[load.operation]


def cpu_s() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(load: Load, endpoints: Sequence[str]) -> Result:
    """Put `load` on `endpoints`."""
    return await Run(load).against(endpoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", required=True, help="host:port,host:port")
    parser.add_argument("--operation", default="put")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--keys", type=int, default=100_000)
    given = vars(parser.parse_args())
    endpoints = given.pop("endpoints").split(",")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run(Load(**given), endpoints)))))


if __name__ == "__main__":
    main()
