"""Leases on etcd and on raftwerk, three nodes each: how fast they are granted and kept alive, how many, and what others notice.

python -m benchmarks.lease [--leases 100000] [--renewals 50000]

Grants come over 10 connections with 20 under way on each. Then each connection renews its share of the leases on one stream, 20
under way. Then everything is quiet but one client that puts, one request at a time: its latencies tell what the leases cost
others, at last while they all end.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Final, cast

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.clusters import SYSTEMS, Node, running
from benchmarks.groups import Figures, Group, Rows, Scale
from raftwerk.api import lease_pb2, rpc_pb2
from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.limits import Limits

CONNECTIONS: Final = 10
UNDER_WAY: Final = 20
TTL_S: Final = 60
PROBE_S: Final = 5.0
LIMITS: Final = Limits(message_bytes_max=2**31 - 1)
SERVICE: Final = "/etcdserverpb.Lease/"


class Connection(asyncio.Protocol):
    """One connection of the project's own engine."""

    def __init__(self, authority: str) -> None:
        self.engine = ClientConnection(authority, LIMITS)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.engine.receive(data)
        self.flush()

    def flush(self) -> None:
        if self._transport is not None and self.engine.has_output:
            self._transport.write(self.engine.take_output())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass
class Measured:
    """What came of a phase."""

    seconds: float = 0.0
    server_cpu_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds

    def cpu_us(self) -> float:
        return 1e6 * self.server_cpu_s / len(self.latencies_s)

    def percentile_ms(self, percent: int) -> float:
        ordered = sorted(self.latencies_s)
        return 1e3 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


async def connect(nodes: Sequence[Node], count: int = CONNECTIONS) -> list[Connection]:
    """Spread over the nodes."""
    connections = []
    for _, node in zip(range(count), cycle(nodes)):
        host, _, port = node.endpoint.rpartition(":")
        endpoint = node.endpoint
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda endpoint=endpoint: Connection(endpoint), host, int(port)
        )
        connections.append(connection)
    return connections


async def measured(nodes: Sequence[Node], phase: Callable[[Measured], Awaitable[Any]]) -> Measured:
    result = Measured()
    cpu_s = sum(node.cpu_s for node in nodes)
    started = time.perf_counter()
    await phase(result)
    result.seconds = time.perf_counter() - started
    result.server_cpu_s = sum(node.cpu_s for node in nodes) - cpu_s
    return result


def grants(nodes: Sequence[Node], count: int) -> Callable[[Measured], Awaitable[None]]:
    """Grant the leases 1 to count."""

    async def phase(result: Measured) -> None:
        connections = await connect(nodes)
        ids = iter(range(1, count + 1))
        finished = asyncio.Event()

        def call(connection: Connection) -> None:
            lease_id = next(ids, None)
            if lease_id is None:
                return
            started = time.perf_counter()

            def done(answer: Answer) -> None:
                if answer.status:
                    raise RuntimeError(answer.text)
                result.latencies_s.append(time.perf_counter() - started)
                call(connection)
                if len(result.latencies_s) == count:
                    finished.set()

            request = lease_pb2.LeaseGrantRequest(ID=lease_id, TTL=TTL_S)
            connection.engine.call(SERVICE + "LeaseGrant", request.SerializeToString(), done)

        for connection in connections:
            for _ in range(UNDER_WAY):
                call(connection)
            connection.flush()
        await finished.wait()
        for connection in connections:
            connection.close()

    return phase


def renewals(
    nodes: Sequence[Node], leases: int, count: int
) -> Callable[[Measured], Awaitable[None]]:
    """Renew leases, `count` times in all."""

    async def phase(result: Measured) -> None:
        connections = await connect(nodes)
        streams = [
            Renewals(
                connection,
                islice(cycle(range(1 + place, leases + 1, CONNECTIONS)), count // CONNECTIONS),
                result,
            )
            for place, connection in enumerate(connections)
        ]
        await asyncio.gather(*(stream.finished.wait() for stream in streams))
        for connection in connections:
            connection.close()

    return phase


class Renewals:
    """One stream of renewals."""

    def __init__(self, connection: Connection, ids: Iterator[int], result: Measured) -> None:
        self.finished = asyncio.Event()
        self._connection = connection
        self._ids = ids
        self._result = result
        self._started: list[float] = []
        self._call = connection.engine.open(SERVICE + "LeaseKeepAlive", self._done, self._answered)
        for _ in range(UNDER_WAY):
            self._send()
        connection.flush()

    def _send(self) -> None:
        lease_id = next(self._ids, None)
        if lease_id is not None:
            self._started.append(time.perf_counter())
            self._call.send(lease_pb2.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        elif not self._started:
            self.finished.set()

    def _answered(self, data: bytes) -> None:
        if lease_pb2.LeaseKeepAliveResponse.FromString(data).TTL != TTL_S:
            raise RuntimeError("a lease is gone: keep fewer, or longer")
        self._result.latencies_s.append(time.perf_counter() - self._started.pop(0))
        self._send()

    def _done(self, answer: Answer) -> None:
        if not self.finished.is_set():
            raise RuntimeError(answer.text)


async def probe(nodes: Sequence[Node], until: Callable[[], Awaitable[bool]]) -> list[float]:
    """Latencies of one client's puts at the leader, one after the other."""
    (connection,) = await connect(nodes[:1], 1)
    latencies: list[float] = []
    while not await until():
        done = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        request = rpc_pb2.PutRequest(key=b"probe", value=b"v").SerializeToString()
        connection.engine.call("/etcdserverpb.KV/Put", request, done.set_result)
        connection.flush()
        await done
        latencies.append(time.perf_counter() - started)
    connection.close()
    return latencies


async def leases_left(nodes: Sequence[Node]) -> int:
    (connection,) = await connect(nodes[-1:], 1)
    done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    connection.engine.call(SERVICE + "LeaseLeases", b"", done.set_result)
    connection.flush()
    answer = await done
    connection.close()
    return len(lease_pb2.LeaseLeasesResponse.FromString(answer.message).leases)


async def run(system: str, leases: int, count: int) -> dict[str, str]:
    """The figures of one system, by the name of the row."""
    with running(system) as nodes:
        granted = await measured(nodes, grants(nodes, leases))
        renewed = await measured(nodes, renewals(nodes, leases, count))
        memory_mb = max(node.memory_mb()["rss_mb"] for node in nodes)
        quiet_until = time.perf_counter() + PROBE_S

        async def is_over() -> bool:
            return time.perf_counter() > quiet_until

        quiet = Measured(latencies_s=await probe(nodes, is_over))
        looked_at = time.perf_counter()
        left = leases

        async def have_ended() -> bool:
            nonlocal left, looked_at
            if time.perf_counter() > looked_at + 2.0:
                left = await leases_left(nodes)
                looked_at = time.perf_counter()
            return left == 0

        ending = Measured(latencies_s=await probe(nodes, have_ended))
        return {
            "grants a second": f"{granted.per_second():,.0f}",
            "grant p99 ms": f"{granted.percentile_ms(99):.1f}",
            "grant, server CPU us": f"{granted.cpu_us():.0f}",
            "renewals a second": f"{renewed.per_second():,.0f}",
            "renewal p99 ms": f"{renewed.percentile_ms(99):.1f}",
            "renewal, server CPU us": f"{renewed.cpu_us():.0f}",
            "largest member MiB": f"{memory_mb:.0f}",
            "put p99 ms, leases at rest": f"{quiet.percentile_ms(99):.1f}",
            "put p99 ms, leases ending": f"{ending.percentile_ms(99):.1f}",
        }


def figures(measured: Measured) -> Figures:
    return {
        "per_second": measured.per_second(),
        "p50_ms": measured.percentile_ms(50),
        "p99_ms": measured.percentile_ms(99),
        "server_cpu_us": measured.cpu_us(),
    }


def measure(system: str, scale: Scale) -> Rows:
    """What the comparison shows: grants and renewals alone."""
    count = scale.count(10_000, 500)
    with (
        running(system) as nodes,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        granted = runner.run(measured(nodes, grants(nodes, count)))
        renewed = runner.run(measured(nodes, renewals(nodes, count, 2 * count)))
    return {"grant 10/200, all": figures(granted), "keepalive 10/200, all": figures(renewed)}


GROUP: Final = Group("lease", "leases", measure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=100_000)
    parser.add_argument("--renewals", type=int, default=50_000)
    given = parser.parse_args()
    cells = {}
    for system in SYSTEMS:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            cells[system] = runner.run(run(system, given.leases, given.renewals))
    table = Table(title=f"{given.leases:,} leases")
    for title in ("", *SYSTEMS):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for row in cells["etcd"]:
        table.add_row(row, *(cells[system][row] for system in SYSTEMS))
    Console().print(table)


if __name__ == "__main__":
    main()
