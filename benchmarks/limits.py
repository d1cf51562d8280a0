"""The hard limits, tried on three nodes of real processes: what was asked for, what happened, the leader's memory.

    make limits     at full size: 1 M keys, 10,000 watchers, 1,000 connections (some ten minutes)

Each trial raises AssertionError when something was not as promised: an answer that is not complete, events out of order, a
change of the leader, nobody else served meanwhile, more memory than is allowed.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks.clusters import MIB, Node, running
from raftwerk.api import rpc_pb2, status
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest
from raftwerk.client import CallFailed, Client
from raftwerk.client.load import run
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load
from raftwerk.client.txn import put
from raftwerk.client.watch import Watch
from raftwerk.http2.client import ClientConnection
from raftwerk.http2.limits import Limits
from raftwerk.runtime.descriptors import allow_many

VALUE_BYTES_MAX: Final = 1_572_864
TXN_OPS_MAX: Final = 128
TIMEOUT_S: Final = 300.0
KEY_BYTES: Final = 8
CLIENTS: Final = 10
"""That share the watchers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is tried."""

    keys: int = 1_000_000
    watchers: int = 10_000
    connections: int = 1_000
    watched_puts: int = 200_000
    unread_values: int = 200
    """Of 1 MiB, that pass by a client that never reads."""


@dataclass(slots=True)
class Trial:
    """memory_mb: the leader's, without pages of files: before, and the most that was seen. others: puts of another client that
    were answered meanwhile, and how long the longest took, what this process was busy with included."""

    name: str
    happened: str = ""
    memory_mb: tuple[float, float] = (0.0, 0.0)
    others: int = 0
    longest_s: float = 0.0
    seconds: float = 0.0

    @property
    def extra_mb(self) -> float:
        return self.memory_mb[1] - self.memory_mb[0]


async def others_are_served(node: Node, stop: asyncio.Event) -> tuple[int, float]:
    """Puts, one after the other, until it is over: how many, and the longest time of one in seconds."""
    count, longest_s = 0, 0.0
    async with Client([node.client_url], timeout_s=TIMEOUT_S) as client:
        while not stop.is_set() or not count:
            began = time.perf_counter()
            await client.put(b"others", b"%d" % count)
            count, longest_s = count + 1, max(longest_s, time.perf_counter() - began)
    return count, longest_s


async def most_memory_mb(node: Node, stop: asyncio.Event) -> float:
    most = node.memory_mb()["anon_mb"]
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.05)
        most = max(most, node.memory_mb()["anon_mb"])
    return most


def terms(nodes: list[Node]) -> set[int]:
    """In which the nodes are: another one after an election."""

    async def ask() -> set[int]:
        found = set()
        for node in nodes:
            async with Client([node.client_url], timeout_s=TIMEOUT_S) as client:
                request = rpc_pb2.RangeRequest(key=b"others")
                found.add((await client.range(request)).header.raft_term)
        return found

    return asyncio.run(ask())


def attempt(
    nodes: list[Node], name: str, work: Callable[[Node], Awaitable[str]], memory_mb_max: float
) -> Trial:
    """Do some work at the leader while another client puts there, and see what happens."""
    trial, leader = Trial(name), nodes[0]

    async def watched() -> str:
        stop = asyncio.Event()
        before = leader.memory_mb()["anon_mb"]
        others = asyncio.create_task(others_are_served(leader, stop))
        memory = asyncio.create_task(most_memory_mb(leader, stop))
        try:
            happened = await work(leader)
        finally:
            stop.set()
            trial.others, trial.longest_s = await others
            trial.memory_mb = before, await memory
        return happened

    before = terms(nodes)
    began = time.perf_counter()
    trial.happened = asyncio.run(watched())
    trial.seconds = time.perf_counter() - began
    assert terms(nodes) == before, f"{name}: the leader changed"
    assert trial.extra_mb <= memory_mb_max, f"{name}: {trial.memory_mb} MiB"
    return trial


def fill(nodes: list[Node], keys: int) -> Trial:
    """So many keys with values of 100 bytes, in transactions of 128."""

    async def work(leader: Node) -> str:
        numbers = iter(range(0, keys, TXN_OPS_MAX))

        async def writer(client: Client) -> None:
            for first in numbers:
                last = min(first + TXN_OPS_MAX, keys)
                operations = [put(b"%08d" % n, b"v" * 100) for n in range(first, last)]
                await client.transaction().then(*operations).commit()

        async with Client([leader.client_url], timeout_s=TIMEOUT_S) as client:
            await asyncio.gather(*(writer(client) for _ in range(8)))
        return f"written in transactions of {TXN_OPS_MAX}"

    return attempt(nodes, f"{keys:,} keys", work, 400.0)


def huge_range(nodes: list[Node], keys: int) -> Trial:
    """All keys in one answer: it is in memory as a whole, and not several times."""

    async def work(leader: Node) -> str:
        async with Client([leader.client_url], timeout_s=TIMEOUT_S) as client:
            request = rpc_pb2.RangeRequest(key=b"0", range_end=b":")
            answer = await client.range(request)
        assert len(answer.kvs) == answer.count == keys
        assert all(kv.key == b"%08d" % number for number, kv in enumerate(answer.kvs))
        return f"{answer.ByteSize() / MIB:.0f} MiB in one answer, complete and in order"

    return attempt(nodes, f"a range of {keys:,} keys, unpaged", work, 40 + keys * 1000 / MIB)


def pages(nodes: list[Node], keys: int) -> Trial:
    async def work(leader: Node) -> str:
        count = 0
        async with Client([leader.client_url], timeout_s=TIMEOUT_S) as client:
            async for kv in client.scan(b"0", b":"):
                assert kv.key == b"%08d" % count
                count += 1
        assert count == keys
        return "complete and in order, at one revision"

    return attempt(nodes, f"{keys:,} keys in pages of 1,000", work, 60.0)


def watch_everything(nodes: list[Node], puts: int) -> Trial:
    """While clients put as fast as they may."""

    async def work(leader: Node) -> str:
        async with (
            Client([leader.client_url], timeout_s=TIMEOUT_S) as client,
            client.watch(b"0", b":") as watch,
        ):
            load = Load(Operation.PUT, connections=10, clients=200, requests=puts, keys=10_000)
            running_load = asyncio.create_task(asyncio.to_thread(run, load, [leader.endpoint]))
            revisions = []
            async for event in watch:
                assert len(event.key) == KEY_BYTES
                revisions.append(event.revision)
                if len(revisions) == puts:
                    break
            result = await running_load
        assert result.requests == puts
        assert not result.errors
        assert all(one < other for one, other in pairwise(revisions))
        return f"{puts:,} events, each once and in order, at {result.per_second:.0f} puts a second"

    return attempt(nodes, "a watch on everything under full load", work, 150.0)


def many_connections(nodes: list[Node], connections: int) -> Trial:
    async def work(leader: Node) -> str:
        requests = 3 * connections
        load = Load(
            Operation.PUT,
            connections=connections,
            clients=connections,
            requests=requests,
            keys=1000,
        )
        result = await asyncio.to_thread(run, load, [leader.endpoint])
        assert result.requests == requests
        assert not result.errors
        return f"{requests:,} puts answered, half of them within {result.p50_ms:.0f} ms"

    allow_many()
    return attempt(nodes, f"{connections:,} connections at once", work, 100.0)


def many_watchers(nodes: list[Node], watchers: int) -> Trial:
    async def work(leader: Node) -> str:
        async with contextlib.AsyncExitStack() as stack:
            watches: list[Watch] = []
            for _ in range(CLIENTS):
                client = Client([leader.client_url], timeout_s=TIMEOUT_S)
                await stack.enter_async_context(client)
                watches += [client.watch(b"watched") for _ in range(watchers // CLIENTS)]
            await asyncio.gather(*(stack.enter_async_context(watch) for watch in watches))
            await client.put(b"watched", b"now")
            events = await asyncio.gather(*(anext(watch) for watch in watches))
        assert {(event.key, event.value) for event in events} == {(b"watched", b"now")}
        return f"{len(events):,} events of one put"

    return attempt(nodes, f"{watchers:,} watchers, a stream each", work, 40 + watchers * 0.03)


class Deaf:
    """Opens a stream, watches everything, and never reads again; its receive window is as large as may be."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        window = 2**31 - 1
        limits = Limits(stream_window_bytes=window, connection_window_bytes=window)
        created: list[bytes] = []
        connection = ClientConnection("deaf", limits)
        stream = connection.open("/etcdserverpb.Watch/Watch", lambda _: None, created.append)
        create = WatchCreateRequest(key=b"\0", range_end=b"\0")
        stream.send(WatchRequest(create_request=create).SerializeToString())
        while not created:
            self._socket.sendall(connection.take_output())
            connection.receive(self._socket.recv(65536))
        self._socket.sendall(connection.take_output())

    def close(self) -> None:
        self._socket.close()


def slow_client(nodes: list[Node], values: int) -> Trial:
    async def work(leader: Node) -> str:
        port = int(leader.endpoint.rpartition(":")[2])
        with contextlib.closing(await asyncio.to_thread(Deaf, port)):
            async with Client([leader.client_url], timeout_s=TIMEOUT_S) as client:
                for _ in range(values):
                    await client.put(b"large", b"x" * MIB)
        return f"{values} MiB of events passed it by"

    return attempt(nodes, "a client that watches and never reads", work, 250.0)


def large_requests(nodes: list[Node]) -> Trial:
    """The largest value and the largest transaction are taken; what is larger is refused with etcd's words."""

    async def work(leader: Node) -> str:
        async with Client([leader.client_url], timeout_s=TIMEOUT_S) as client:
            value = b"x" * (VALUE_BYTES_MAX - 100)
            await client.put(b"large", value)
            assert await client.get(b"large") == value
            operations = [put(b"txn%d" % number, b"v") for number in range(TXN_OPS_MAX)]
            assert (await client.transaction().then(*operations).commit()).succeeded
            refused = []
            for attempted in (
                client.put(b"large", b"x" * (VALUE_BYTES_MAX + 1)),
                client.transaction().then(*operations, put(b"one more", b"v")).commit(),
            ):
                try:
                    await attempted
                except CallFailed as error:
                    refused.append(str(error))
        assert len(refused) == 2, refused
        assert status.REQUEST_TOO_LARGE.text in refused[0], refused
        assert status.TOO_MANY_OPS.text in refused[1], refused
        return "taken; larger ones are refused: " + ", ".join(refused)

    return attempt(nodes, "a value of 1.5 MiB, 128 operations", work, 60.0)


def try_all(scale: Scale, report: Callable[[Trial], None]) -> None:
    with running("raftwerk") as nodes:
        for trial in (
            lambda: fill(nodes, scale.keys),
            lambda: huge_range(nodes, scale.keys),
            lambda: pages(nodes, scale.keys),
            lambda: watch_everything(nodes, scale.watched_puts),
            lambda: many_connections(nodes, scale.connections),
            lambda: many_watchers(nodes, scale.watchers),
            lambda: slow_client(nodes, scale.unread_values),
            lambda: large_requests(nodes),
        ):
            report(trial())


def main() -> None:
    heads = ("tried", "s", "MiB", "most", "others", "longest ms", "what happened")
    print("{:42} {:>6} {:>5} {:>5} {:>7} {:>10}  {}".format(*heads))

    def report(trial: Trial) -> None:
        before, most = trial.memory_mb
        print(
            f"{trial.name:42} {trial.seconds:6.1f} {before:5.0f} {most:5.0f} {trial.others:7} {1e3 * trial.longest_s:10.0f}"
            f"  {trial.happened}",
            flush=True,
        )

    try_all(Scale(), report)


if __name__ == "__main__":
    main()
