"""Who comes first: a key for each who wants something, attached to a lease; the oldest one has it.

The keys are those of etcd's own recipe, name/lease in hex, so that its clients may take part. Each waits for the one before it
alone, and looks at its own key again when its turn comes: the lease may be over by then. Whoever has it watches its own key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, Self

from raftwerk.api import rpc_pb2
from raftwerk.client.arguments import check
from raftwerk.client.block import Block
from raftwerk.client.errors import Compacted, LeaseLost
from raftwerk.client.lease import Lease
from raftwerk.client.ranges import prefix_end
from raftwerk.client.txn import created, get, put, version
from raftwerk.client.watch import EventKind
from raftwerk.errors import RaftwerkError

if TYPE_CHECKING:
    from raftwerk.client.client import Client

TTL_S: Final = 10


class Contest(Block):
    """async with: have it, inside the block. When lease or key are lost the block is cancelled, and LeaseLost raised."""

    WHAT: ClassVar[str]

    def __init__(
        self, client: Client, name: bytes, value: bytes, ttl_s: int, wait_s: float | None
    ) -> None:
        """wait_s: how long others may go before; None: as long as it takes."""
        check(f"the name of a {self.WHAT}", "bytes", name, bytes)
        check("value", "bytes", value, bytes)
        check("wait_s", "a number of seconds", wait_s, int, float, type(None))
        self._client = client
        self._name = name
        self._prefix = name + b"/"
        self._value = value
        self._wait_s = wait_s
        self.lease = Lease(client.calls, ttl_s)
        self.key = b""
        """Of this one; there is exactly one who has the oldest."""
        self.revision = 0
        """At which the key came to be. It grows from holder to holder: a fencing token."""
        self._created = 0
        self._is_gone = False
        """The key, before the lease was known to be over."""
        self._guards: list[asyncio.Task[None]] = []
        self._is_cancelled = False

    @property
    def is_held(self) -> bool:
        return self.revision > 0 and not self.lease.is_lost and not self._is_gone

    async def __aenter__(self) -> Self:
        """Wait for our turn. Raises CallFailed, OutcomeUnknown, LeaseLost, and TimeoutError when it is not ours in time."""
        self.begin()
        await self.lease.__aenter__()
        try:
            self._guard(self.lease.lost.wait)
            await self._enter()
            await self._wait_for_turn()
        except BaseException as error:
            await self._end()
            if isinstance(error, asyncio.CancelledError) and self._was_lost():
                raise self._lost() from error
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()
        if isinstance(error, asyncio.CancelledError) and self._was_lost():
            raise self._lost() from error

    def _lost(self) -> LeaseLost:
        name = self._name.decode(errors="backslashreplace")
        why = f"lease {self.lease.id:x} is over"
        if self._is_gone:
            why = f"its key {self.key.decode(errors='backslashreplace')} was deleted, or {why}"
        return LeaseLost(f"{self.WHAT} {name} is lost: {why}")

    def _guard(self, loss: Callable[[], Awaitable[bool]]) -> None:
        """Cancel the block when that returns True."""
        owner = asyncio.current_task()
        assert owner is not None

        async def guard() -> None:
            if await loss() and not self._is_cancelled:
                self._is_cancelled = True
                owner.cancel()

        self._guards.append(asyncio.create_task(guard()))

    def _was_lost(self) -> bool:
        """Whether it was the guard that cancelled the block, and nobody else."""
        owner = asyncio.current_task()
        assert owner is not None
        return self._is_cancelled and owner.uncancel() == 0

    async def _end(self) -> None:
        self.revision = 0
        for guard in self._guards:
            guard.cancel()
        await self.lease.__aexit__(None, None, None)

    async def _enter(self) -> None:
        self.key = self._prefix + b"%x" % self.lease.id
        ours = put(self.key, self._value, lease=self.lease.id)
        transaction = self._client.transaction().when(version(self.key).equals(0))
        result = await transaction.then(ours).otherwise(get(self.key)).commit()
        response = result.responses[0]
        if isinstance(response, rpc_pb2.RangeResponse):  # put by an attempt whose answer was lost
            self._created = response.kvs[0].create_revision
        else:
            self._created = result.revision

    async def _wait_for_turn(self) -> None:
        """Who has no time at all still has what nobody else has."""
        now_s = asyncio.get_running_loop().time()
        until_s = None if self._wait_s is None else now_s + self._wait_s
        while True:
            request = rpc_pb2.RangeRequest(
                key=self._prefix,
                range_end=prefix_end(self._prefix),
                max_create_revision=self._created - 1,
                sort_order=rpc_pb2.RangeRequest.DESCEND,
                sort_target=rpc_pb2.RangeRequest.CREATE,
                limit=1,
            )
            before = await self._client.range(request)
            if not before.kvs:
                break
            try:
                async with asyncio.timeout_at(until_s):
                    await self._wait_for_end(before.kvs[0].key, before.header.revision + 1)
            except TimeoutError as error:
                name = self._name.decode(errors="backslashreplace")
                text = f"{self.WHAT} {name} was not free within {self._wait_s} s"
                raise TimeoutError(text) from error
        seen = await self._look_at_own()
        if not seen:
            raise self._lost()
        self.revision = self._created
        self._guard(partial(self._lose_key, seen))

    async def _look_at_own(self) -> int:
        """The revision at which our key is there; 0: it is not, or was put anew."""
        response = await self._client.range(rpc_pb2.RangeRequest(key=self.key))
        is_there = bool(response.kvs) and response.kvs[0].create_revision == self._created
        return response.header.revision if is_there else 0

    async def _lose_key(self, seen: int) -> bool:
        """True when our key is gone. False where that cannot be watched: the lease alone tells then."""
        try:
            while seen and not await self._wait_for_end(self.key, seen + 1):
                seen = await self._look_at_own()
        except RaftwerkError:
            return False
        self._is_gone = True
        return True

    async def _wait_for_end(self, key: bytes, revision: int) -> bool:
        """Until it is gone; or may be (False): what has happened since is forgotten, and the caller looks again."""
        with suppress(Compacted):
            async with self._client.watch(key, start_revision=revision) as events:
                async for event in events:
                    if event.kind is EventKind.DELETE:
                        return True
        return False


class Lock(Contest):
    """One at a time, in the order in which they came."""

    WHAT = "lock"
    WITHIN = "a lock is held inside its block: async with client.lock(...) as lock"

    def __init__(
        self, client: Client, name: bytes, ttl_s: int, wait_s: float | None = None
    ) -> None:
        super().__init__(client, name, b"", ttl_s, wait_s)


class Leadership(Contest):
    """One leader at a time; the others wait."""

    WHAT = "leadership of"
    WITHIN = (
        "one leads inside the block: async with client.election(...).campaign(...) as leadership"
    )

    async def proclaim(self, value: bytes) -> None:
        """Say something else, as the leader. Raises LeaseLost when that is over, UsageError before it has begun."""
        if not self.is_held:
            raise self._lost() if self.key else self.misused()
        transaction = self._client.transaction().when(created(self.key).equals(self.revision))
        result = await transaction.then(put(self.key, value, lease=self.lease.id)).commit()
        if not result.succeeded:
            raise self._lost()
