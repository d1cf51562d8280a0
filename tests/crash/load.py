"""Load from several clients while a cluster is hurt, and the judgement afterwards.

Each write puts a key of its own, so that what was applied can be told exactly: an acknowledged write is there with
version 1; one whose fate was unknown is there with version 1 or not at all; nothing else is there.
"""

import asyncio
from collections.abc import Callable, Sequence

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, OutcomeUnknown

WRITERS = 6


class Load:
    """Writers that go on until told to stop."""

    def __init__(self, members: Sequence[Member], name: str = "w", writers: int = WRITERS) -> None:
        self._urls = [member.client_url for member in members]
        self._name = name
        self._writers = writers
        self._is_stopping = False
        self._acknowledged_more = asyncio.Event()
        self.acknowledged: set[bytes] = set()
        self.unknown: set[bytes] = set()
        self.failed: set[bytes] = set()

    async def run_during(
        self, hurt: Callable[[], None], before: int = 200, after: int = 200
    ) -> None:
        """Write; when `before` writes are acknowledged, hurt the cluster; stop after `after` more."""
        tasks = [asyncio.create_task(self._write(number)) for number in range(self._writers)]
        try:
            await self._until(before)
            await asyncio.to_thread(hurt)
            await self._until(len(self.acknowledged) + after)
        finally:
            self._is_stopping = True
            await asyncio.gather(*tasks)

    async def _until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.acknowledged) < count:
                self._acknowledged_more.clear()
                await self._acknowledged_more.wait()

    async def _write(self, writer: int) -> None:
        urls = self._urls[writer % len(self._urls) :] + self._urls[: writer % len(self._urls)]
        async with Client(urls, timeout_s=15) as client:
            number = 0
            while not self._is_stopping:
                key = f"{self._name}/{writer}/{number:06d}".encode()
                number += 1
                try:
                    await client.put(key, key)
                    self.acknowledged.add(key)
                    self._acknowledged_more.set()
                except OutcomeUnknown:
                    self.unknown.add(key)
                except CallFailed:
                    self.failed.add(key)

    async def check(self, members: Sequence[Member]) -> None:
        """Nothing acknowledged is lost, nothing is applied twice, and all members hold the same."""
        async with Client([members[0].client_url]) as client:
            prefix = self._name.encode() + b"/"
            request = rpc_pb2.RangeRequest(key=prefix, range_end=self._name.encode() + b"0")
            found = {kv.key: kv for kv in (await client.range(request)).kvs}
        lost = self.acknowledged - found.keys()
        assert not lost, f"{len(lost)} acknowledged writes are lost, e.g. {sorted(lost)[:3]}"
        assert found.keys() <= self.acknowledged | self.unknown, "what certainly failed is there"
        twice = [key for key, kv in found.items() if kv.version != 1]
        assert not twice, f"applied twice: {twice[:3]}"
        assert all(kv.value == key for key, kv in found.items())
        await check_equal(members)


async def check_equal(members: Sequence[Member]) -> None:
    """All members have the same hash over all keys and versions at one revision."""
    async with Client([members[0].client_url]) as client:
        revision = (await client.put(b"check", b"")).header.revision
    hashes = {}
    for member in members:
        async with Client([member.client_url]) as client:
            await client.get(b"check")  # linearizable: the member has caught up then
            hashes[member.name] = (await client.hash_kv(revision)).hash
    assert len(set(hashes.values())) == 1, f"the stores differ at revision {revision}: {hashes}"
