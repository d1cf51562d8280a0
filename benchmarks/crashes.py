"""What a crash costs, and what a million keys do: fail-over, restart, memory, catch-up of a follower."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from benchmarks import loads
from benchmarks.clusters import Node, running, wait_until, wait_until_ready
from benchmarks.groups import Figures, Group, Rows, Scale
from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import is_healthy
from raftwerk.client import Client
from raftwerk.client.load_requests import Operation
from raftwerk.client.load_types import Load

KEY_COUNTS: Final = (10_000, 100_000, 1_000_000)
QUICK_COUNTS: Final = (1_000, 2_000, 4_000)
WRITES_MISSED: Final = 150_000
"""By a follower that was away: more than either keeps for it in the log by default (50,000 entries; etcd up to 105,000)."""
ASK_AGAIN_S: Final = 0.01
ATTEMPT_S: Final = 0.3
GIVE_UP_S: Final = 120.0

Ask = Callable[[Client], Awaitable[object]]


async def first_success(nodes: Sequence[Node], ask: Ask, go: Callable[[], None]) -> float:
    """Seconds from `go` until any of the nodes has done what is asked. Each is asked anew every 10 ms, so that no attempt
    that hangs is waited for. Raises TimeoutError."""
    clients = [Client([node.client_url], exactly_once=False, timeout_s=ATTEMPT_S) for node in nodes]
    asked: set[asyncio.Task[object]] = set()
    go()
    started = time.perf_counter()
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                asked |= {asyncio.ensure_future(ask(client)) for client in clients}
                done, asked = await asyncio.wait(
                    asked, timeout=ASK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                if any([task.exception() is None for task in done]):  # noqa: C419  (each is looked at)
                    return time.perf_counter() - started
                if done:
                    await asyncio.sleep(ASK_AGAIN_S)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for client in clients:
            client.close()


async def _write(client: Client) -> object:
    return await client.put(b"after", b"crash")


async def _read(client: Client) -> object:
    return await client.range(rpc_pb2.RangeRequest(key=b"00000000"))


def failover(system: str, scale: Scale) -> Rows:
    """kill -9 of the leader to the first write that a survivor accepts, at stock settings."""
    with running(system) as nodes:
        loads.fill(nodes, 1000)
        leader, *survivors = nodes
        gap_s = asyncio.run(first_success(survivors, _write, leader.kill))
    return {"gap": {"gap_ms": 1e3 * gap_s}}


def keys(system: str, scale: Scale) -> Rows:
    """Put latency with more and more keys; then memory, a crash of all three, and a follower that was away."""
    counts = QUICK_COUNTS if scale.is_quick else KEY_COUNTS
    found: Rows = {}
    with running(system) as nodes:
        for count in counts:
            filled = Load(Operation.FILL, 100, 1000, requests=count, keys=count)
            loads.measure(filled, nodes[:1], nodes)
            one = Load(Operation.PUT, 1, 1, seconds=scale.seconds(4), keys=count)
            found[f"put 1/1 with {count:,} keys"] = loads.measure(one, nodes[:1], nodes)
        found["memory after the writes"] = largest(nodes)
        found["restart after kill -9 of all"] = restart(nodes, counts[-1])
        found["memory after restart"] = largest(nodes)
        missed = scale.count(WRITES_MISSED, 2_000)
        found[f"catch-up after {missed:,} writes missed"] = catch_up(nodes, missed)
    return found


def largest(nodes: Sequence[Node]) -> Figures:
    """Of the node that has most resident."""
    return max((node.memory_mb() for node in nodes), key=lambda memory: memory["rss_mb"])


def restart(nodes: list[Node], count: int) -> Figures:
    """Seconds from the start of all to the first linearizable read; to all of them ready. Checks that nothing is lost."""
    for node in nodes:
        node.kill()
    started = time.perf_counter()

    def start() -> None:
        for node in nodes:
            node.start()

    first = asyncio.run(first_success(nodes, _read, start))
    wait_until_ready(nodes)
    everyone = time.perf_counter() - started

    async def count_keys() -> int:
        async with Client([nodes[0].client_url], timeout_s=60) as client:
            return await client.count(b"0", b":")

    assert asyncio.run(count_keys()) == count, "keys are lost"
    return {"first_read_s": first, "all_ready_s": everyone}


def catch_up(nodes: list[Node], missed: int) -> Figures:
    """Seconds from the start of a follower to its first linearizable read, after others wrote without it: from a snapshot."""
    leader = next(node for node in nodes if node.leads())
    follower = next(node for node in nodes if node is not leader)
    follower.kill()
    running_nodes = [node for node in nodes if node is not follower]
    load = Load(Operation.PUT, 100, 1000, requests=missed, keys=missed)
    loads.measure(load, [leader], running_nodes)
    started = time.perf_counter()
    follower.start()
    wait_until(lambda: is_healthy(follower), follower)
    return {"catch_up_s": time.perf_counter() - started}


GROUPS: Final = (
    Group("failover", "kill -9 of the leader to the first write at a survivor", failover, rounds=8),
    Group("keys", "up to a million keys", keys, rounds=1),
)
