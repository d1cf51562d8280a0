"""A leader that is killed under load: what the client sends again is done exactly once."""

import asyncio
from collections.abc import Callable, Sequence

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.client import Client
from raftwerk.client.txn import get, put, value
from tests.conftest import StartCluster

WRITERS = 6
BEFORE = 150
AFTER = 150


class Work:
    """Clients that put keys, each written once, and count together."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._urls = [member.client_url for member in members]
        self._is_stopping = False
        self._more = asyncio.Event()
        self.put: set[bytes] = set()
        self.incremented = 0

    async def run_during(self, hurt: Sequence[Callable[[], None]]) -> None:
        """hurt: callables; one after each BEFORE writes."""
        tasks = [asyncio.create_task(self._work(number)) for number in range(WRITERS)]
        try:
            for one in hurt:
                await self._until(len(self.put) + BEFORE)
                await asyncio.to_thread(one)
            await self._until(len(self.put) + AFTER)
        finally:
            self._is_stopping = True
            await asyncio.gather(*tasks)

    async def _until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.put) < count:
                self._more.clear()
                await self._more.wait()

    async def _work(self, writer: int) -> None:
        """No write may fail: OutcomeUnknown too fails the test."""
        urls = self._urls[writer % len(self._urls) :] + self._urls[: writer % len(self._urls)]
        async with Client(urls, timeout_s=60) as client:
            number = 0
            while not self._is_stopping:
                key = b"once/%d/%06d" % (writer, number)
                number += 1
                await client.put(key, key)
                assert client.has_exactly_once
                self.put.add(key)
                succeeded = await increment(client)
                self.incremented += succeeded
                self._more.set()


async def increment(client: Client) -> int:
    """Compare and set. Returns 1 if it was this client's turn: a success that is told as a failure would count one too many."""
    current = await client.get(b"counter") or b"0"
    transaction = client.transaction().when(value(b"counter").equals(current))
    transaction.then(put(b"counter", b"%d" % (int(current) + 1))).otherwise(get(b"counter"))
    return int((await transaction.commit()).succeeded)


def test_leaders_killed_under_load_and_every_write_done_once(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    killed: list[Member] = []

    def kill_leader() -> None:
        killed.append(cluster.wait_leader())
        cluster.kill(killed[-1])

    def restart() -> None:
        cluster.start(killed[-1])

    async def main() -> None:
        async with Client([cluster.members[0].client_url]) as client:
            await client.put(b"counter", b"0")
        work = Work(cluster.members)
        await work.run_during([kill_leader, restart, kill_leader])
        alive = [member.client_url for member in cluster.members if member.is_running]
        async with Client(alive, timeout_s=30) as client:
            versions = {kv.key: kv.version async for kv in client.scan(b"once/", prefix=True)}
            assert versions == dict.fromkeys(work.put, 1)
            assert await client.get(b"counter") == b"%d" % work.incremented
            request = rpc_pb2.RangeRequest(key=b"counter")
            assert (await client.range(request)).kvs[0].version == work.incremented + 1
            assert work.incremented

    asyncio.run(main())
