"""Elections: campaign for leadership, ask who leads, and see each new leader."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING

from raftwerk.api import kv_pb2, rpc_pb2
from raftwerk.client.arguments import check
from raftwerk.client.contest import TTL_S, Leadership
from raftwerk.client.errors import Compacted
from raftwerk.client.ranges import prefix_end

if TYPE_CHECKING:
    from raftwerk.client.client import Client


class Election:
    """async with client.election(b"boss").campaign(b"me") as leadership: ..."""

    def __init__(self, client: Client, name: bytes) -> None:
        """Raises UsageError for a name that is no bytes."""
        check("the name of an election", "bytes", name, bytes)
        self._client = client
        self._name = name
        self._prefix = name + b"/"

    def campaign(
        self, value: bytes, ttl_s: int = TTL_S, *, wait_s: float | None = None
    ) -> Leadership:
        """Lead inside the block of what is returned; others see `value`. ttl_s: others wait so long when this process dies.

        wait_s: entering the block raises TimeoutError when others lead for so long; 0: at once.
        """
        return Leadership(self._client, self._name, value, ttl_s, wait_s).expected()

    async def leader(self) -> kv_pb2.KeyValue | None:
        """Who leads: key, value, and create_revision as a fencing token. None: nobody."""
        leader, _ = await self._look()
        return leader

    async def _look(self) -> tuple[kv_pb2.KeyValue | None, int]:
        request = rpc_pb2.RangeRequest(
            key=self._prefix,
            range_end=prefix_end(self._prefix),
            sort_order=rpc_pb2.RangeRequest.ASCEND,
            sort_target=rpc_pb2.RangeRequest.CREATE,
            limit=1,
        )
        response = await self._client.range(request)
        return (response.kvs[0] if response.kvs else None), response.header.revision

    async def observe(self) -> AsyncGenerator[kv_pb2.KeyValue, None]:
        """The leader now, and each that comes to lead or proclaims something; some may be left out when they change quickly."""
        shown = 0
        while True:
            leader, revision = await self._look()
            if leader is not None and leader.mod_revision != shown:
                shown = leader.mod_revision
                yield leader
            with suppress(Compacted):  # what has happened since is forgotten: look again
                async with self._client.watch(
                    self._prefix, prefix=True, start_revision=revision + 1
                ) as events:
                    await anext(events)
