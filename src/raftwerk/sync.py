"""The client for programs without asyncio: the same methods, which wait.

with Client(["127.0.0.1:2379"]) as client:
    client.put(b"key", b"value")

A thread of its own runs the asyncio client. Any thread may call.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Self, TypeVar

from raftwerk import client as aio
from raftwerk.api import kv_pb2, lease_pb2, rpc_pb2
from raftwerk.client.contest import TTL_S, Leadership, Lock
from raftwerk.client.lease import Lease
from raftwerk.client.txn import Transaction, TxnResult
from raftwerk.errors import UsageError

T = TypeVar("T")


class Client:
    """See raftwerk.client.Client, also for what each method raises."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        timeout_s: float = 10.0,
        exactly_once: bool = True,
        spread: bool = False,
        credentials: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.aio = aio.Client(
            endpoints,
            timeout_s=timeout_s,
            exactly_once=exactly_once,
            spread=spread,
            credentials=credentials,
            tls=tls,
        )
        """What does the work. Its methods are for `run`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="raftwerk client", daemon=True
        )
        self._thread.start()
        self._closing = threading.Lock()

    def run(self, action: Awaitable[T]) -> T:
        """Wait for something that self.aio does."""

        async def wait() -> T:
            return await action

        return self._run(wait())

    def _run(self, action: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            action.close()
            raise UsageError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(action, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # KeyboardInterrupt: nobody waits any more
            raise

    @property
    def has_exactly_once(self) -> bool:
        return self.aio.has_exactly_once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread."""
        with self._closing:
            if self._loop.is_closed():
                return
            self._run(self.aio.__aexit__(None, None, None))
            self._run(_end_others())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # Keys

    def put(
        self, key: bytes, value: bytes, *, lease: int = 0, prev_kv: bool = False
    ) -> rpc_pb2.PutResponse:
        return self._run(self.aio.put(key, value, lease=lease, prev_kv=prev_kv))

    def get(self, key: bytes, *, serializable: bool = False) -> bytes | None:
        return self._run(self.aio.get(key, serializable=serializable))

    def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        return self._run(self.aio.range(request))

    def scan(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        revision: int = 0,
        keys_only: bool = False,
    ) -> Iterator[kv_pb2.KeyValue]:
        return self._iterate(
            self.aio.scan(key, range_end, prefix=prefix, revision=revision, keys_only=keys_only)
        )

    def count(self, key: bytes, range_end: bytes = b"", *, prefix: bool = False) -> int:
        return self._run(self.aio.count(key, range_end, prefix=prefix))

    def delete(
        self, key: bytes, range_end: bytes = b"", *, prefix: bool = False, prev_kv: bool = False
    ) -> rpc_pb2.DeleteRangeResponse:
        return self._run(self.aio.delete(key, range_end, prefix=prefix, prev_kv=prev_kv))

    def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        return self._run(self.aio.txn(request))

    def transaction(self) -> "SyncTransaction":
        return SyncTransaction(self)

    def compact(self, revision: int, *, physical: bool = False) -> None:
        self._run(self.aio.compact(revision, physical=physical))

    # What lives in blocks

    @contextmanager
    def watch(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        start_revision: int = 0,
        prev_kv: bool = False,
    ) -> Iterator[Iterator[aio.Event]]:
        """with client.watch(b"key") as events: for event in events: ..."""
        watch = self.aio.watch(
            key, range_end, prefix=prefix, start_revision=start_revision, prev_kv=prev_kv
        )
        with self._inside(watch):
            yield self._iterate(watch)

    @contextmanager
    def lease(self, ttl_s: int) -> Iterator[Lease]:
        with self._inside(self.aio.lease(ttl_s)) as lease:
            yield lease

    @contextmanager
    def lock(self, name: bytes, ttl_s: int = TTL_S) -> Iterator[Lock]:
        """A thread cannot be stopped: look at `is_held` before what must not happen without it."""
        with self._inside(self.aio.lock(name, ttl_s)) as lock:
            yield lock

    @contextmanager
    def lead(self, name: bytes, value: bytes, ttl_s: int = TTL_S) -> Iterator[Leadership]:
        """Campaign, and lead inside the block; `is_held` as for a lock."""
        with self._inside(self.aio.election(name).campaign(value, ttl_s)) as leadership:
            yield leadership

    def leader(self, name: bytes) -> kv_pb2.KeyValue | None:
        return self._run(self.aio.election(name).leader())

    def lease_grant(self, ttl_s: int) -> lease_pb2.LeaseGrantResponse:
        return self._run(self.aio.lease_grant(ttl_s))

    def lease_revoke(self, lease_id: int) -> None:
        self._run(self.aio.lease_revoke(lease_id))

    # The cluster

    def member_list(self) -> list[rpc_pb2.Member]:
        return self._run(self.aio.member_list())

    def status(self) -> rpc_pb2.StatusResponse:
        return self._run(self.aio.status())

    def _iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def following() -> T:
            return await anext(items)

        while True:
            try:
                item = self._run(following())
            except StopAsyncIteration:
                return
            yield item

    @contextmanager
    def _inside(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """The whole block in one task over there: it has to be left by the task that has entered it."""
        entered: asyncio.Future[T] = asyncio.Future(loop=self._loop)
        leave = asyncio.Event()

        async def stay() -> None:
            try:
                async with block as held:
                    entered.set_result(held)
                    await leave.wait()
            except BaseException as error:
                if entered.done():
                    raise
                entered.set_exception(error)

        async def enter() -> T:
            return await entered

        if self._loop.is_closed():
            raise UsageError("the client is closed")
        staying = asyncio.run_coroutine_threadsafe(stay(), self._loop)
        try:
            held = self._run(enter())
            yield held
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(leave.set)
                staying.result()


class SyncTransaction(Transaction):
    """See raftwerk.client.txn.Transaction; `execute` in the place of `commit`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.aio.txn)
        self._client = client

    def execute(self) -> TxnResult:
        """Have it done."""
        return self._client.run(self.commit())


async def _end_others() -> None:
    """Tasks that are under way when the client closes."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
