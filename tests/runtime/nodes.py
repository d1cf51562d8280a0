"""Nodes in the test's own event loop, on ports of loopback."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from raftwerk.api.kv_pb2 import KeyValue
from raftwerk.cli.cluster import free_ports
from raftwerk.kv.commands import Put, RangeQuery, encode
from raftwerk.kv.results import RangeResult
from raftwerk.replica.failure import Failure
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.node import Node
from raftwerk.runtime.settings import Settings
from tests.runtime.peers import until


def settings_of(folder: Path, nodes: int = 1, **changed: Any) -> list[Settings]:
    """For the members of one cluster."""
    ports = free_ports(nodes)
    urls = {
        f"node{number}": (f"http://127.0.0.1:{peer}",) for number, (_, peer) in enumerate(ports, 1)
    }
    values = {"heartbeat_interval_ms": 20, "election_timeout_ms": 150, **changed}
    return [
        Settings(
            name=name,
            data_dir=folder / name,
            listen_client=(Address("127.0.0.1", client),),
            listen_peer=(Address("127.0.0.1", peer),),
            advertise_client_urls=(f"http://127.0.0.1:{client}",),
            initial_advertise_peer_urls=urls[name],
            initial_cluster=urls,
            **values,
        )
        for name, (client, peer) in zip(urls, ports, strict=True)
    ]


def open_files_in(folder: Path) -> list[str]:
    """Which of its files this process holds open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return sorted(path for link in links if (path := str(link.readlink())).startswith(str(folder)))


@asynccontextmanager
async def running(*settings: Settings) -> AsyncIterator[list[Node]]:
    """Started nodes; those that the test leaves are stopped."""
    nodes: list[Node] = []
    try:
        for each in settings:
            nodes.append(Node.open(each))
            await nodes[-1].start()
        yield nodes
    finally:
        for node in nodes:
            await node.stop()


async def answer_to(ask: Callable[[Callable[[Any], None]], None]) -> Any:
    """What `ask` calls back with."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ask(future.set_result)
    return await future


async def put(node: Node, key: bytes, value: bytes) -> Any:
    """The result, or a Failure."""
    return await answer_to(lambda done: node.propose(encode(Put(key, value)), done))


def get_locally(node: Node, key: bytes) -> bytes | None:
    """What the node's own state says."""
    result = node.machine.range(RangeQuery(key))
    assert isinstance(result, RangeResult)
    kvs = result.kvs
    return KeyValue.FromString(kvs[0]).value if kvs else None


async def get(node: Node, key: bytes) -> bytes | Failure | None:
    """A linearizable read."""
    failure: Failure | None = await answer_to(node.read)
    return failure or get_locally(node, key)


async def leader_of(nodes: list[Node]) -> Node:
    """Who leads by its own word and with all others' agreement, as soon as there is one."""

    def leaders() -> list[Node]:
        return [
            node
            for node in nodes
            if all(other.status().leader_id == node.node_id for other in nodes)
        ]

    await until(leaders)
    return leaders()[0]


def run(body: Callable[[], Awaitable[None]]) -> None:
    """Run within a minute, and check that nothing is left: no task, no thread."""

    async def main() -> None:
        async with asyncio.timeout(60):
            await body()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith("raftwerk")}
