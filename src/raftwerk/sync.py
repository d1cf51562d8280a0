"""The client for programs without asyncio: the same methods, which wait.

with Client(["127.0.0.1:2379"]) as client:
    client.put(b"key", b"value")

A thread of its own runs the asyncio client. Any thread may call. What looks after a cluster (members, maintenance, auth of the
asyncio client) is not here a second time: client.run(client.aio.members.list()).
"""

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    contextmanager,
    suppress,
)
from typing import Any, Final, Generic, Self, TypeVar

from raftwerk import client as aio
from raftwerk.api import kv_pb2, lease_pb2, rpc_pb2, status
from raftwerk.client.block import SyncBlock
from raftwerk.client.calls import OTHER_PROCESS
from raftwerk.client.client import PAGE
from raftwerk.client.contest import TTL_S, Leadership, Lock
from raftwerk.client.lease import Lease
from raftwerk.client.txn import Transaction, TxnResult, result_of
from raftwerk.errors import UsageError

CLOSE_S: Final = 0.5
"""So much time has what is under way to end by itself, when the client closes."""

T = TypeVar("T")


class Client:
    """See raftwerk.client.Client, also for what each method raises.

    In a process that was forked from the one that made it each method raises UsageError, and `close` does nothing.
    """

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
        self._closing = asyncio.Event()
        self._is_closing = False
        self._lock = threading.Lock()
        """Around _is_closing, and whatever is given to the loop: nothing is, after that."""
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._live, name="raftwerk client", daemon=True)
        self._thread.start()

    def run(self, action: Awaitable[T]) -> T:
        """Wait for something that self.aio does."""
        whole: Coroutine[Any, Any, T] = action if isinstance(action, Coroutine) else _done(action)
        return self._run(whole)

    def _run(self, action: Coroutine[Any, Any, T]) -> T:
        future = self._begin(action)
        try:
            return _result(future)
        except BaseException:
            future.cancel()  # KeyboardInterrupt: nobody waits any more
            raise

    @property
    def _is_here(self) -> bool:
        """A fork has neither the thread nor, if that was busy, the lock."""
        return self._process == os.getpid()

    def _begin(self, action: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._is_here:
            action.close()
            raise UsageError(OTHER_PROCESS)
        with self._lock:
            if self._is_closing:
                action.close()
                raise UsageError("the client is closed")
            return asyncio.run_coroutine_threadsafe(action, self._loop)

    def _live(self) -> None:
        """What the thread does."""
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        """Until `close`, and then until nothing is under way any more."""
        await self._closing.wait()
        await self.aio.__aexit__(None, None, None)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=CLOSE_S)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    @property
    def has_exactly_once(self) -> bool:
        return self.aio.has_exactly_once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread. Calls of other threads end at once, as those of the asyncio client do."""
        if not self._is_here:
            return
        with self._lock:
            if not self._is_closing:
                self._is_closing = True
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    # Keys

    def put(
        self,
        key: bytes,
        value: bytes,
        *,
        lease: int = 0,
        prev_kv: bool = False,
        ignore_value: bool = False,
        ignore_lease: bool = False,
    ) -> rpc_pb2.PutResponse:
        put = self.aio.put(
            key,
            value,
            lease=lease,
            prev_kv=prev_kv,
            ignore_value=ignore_value,
            ignore_lease=ignore_lease,
        )
        return self._run(put)

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
        page: int = PAGE,
    ) -> Iterator[kv_pb2.KeyValue]:
        pages = self.aio.scan(
            key, range_end, prefix=prefix, revision=revision, keys_only=keys_only, page=page
        )
        return self._iterate(pages)

    def count(self, key: bytes, range_end: bytes = b"", *, prefix: bool = False) -> int:
        return self._run(self.aio.count(key, range_end, prefix=prefix))

    def delete(
        self, key: bytes, range_end: bytes = b"", *, prefix: bool = False, prev_kv: bool = False
    ) -> rpc_pb2.DeleteRangeResponse:
        return self._run(self.aio.delete(key, range_end, prefix=prefix, prev_kv=prev_kv))

    def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        return self._run(self.aio.txn(request))

    def transaction(self) -> "SyncTransaction":
        """A transaction to be put together: when, then, otherwise, commit."""
        return SyncTransaction(self)

    def compact(self, revision: int, *, physical: bool = False) -> None:
        self._run(self.aio.compact(revision, physical=physical))

    # What lives in blocks

    def watch(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        start_revision: int = 0,
        prev_kv: bool = False,
        progress_notify: bool = False,
    ) -> SyncBlock[Iterator[aio.Event]]:
        """with client.watch(b"key") as events: for event in events: ..."""
        watch = self.aio.watch(
            key,
            range_end,
            prefix=prefix,
            start_revision=start_revision,
            prev_kv=prev_kv,
            progress_notify=progress_notify,
        )
        return SyncBlock("watch(...) as events", self._iterating(watch.looked_after(), watch))

    def lease(self, ttl_s: int) -> SyncBlock[Lease]:
        lease = self.aio.lease(ttl_s).looked_after()
        return SyncBlock("lease(...) as lease", self._inside(lease))

    def keep_alive(self, lease_id: int) -> SyncBlock[Lease]:
        lease = self.aio.keep_alive(lease_id).looked_after()
        return SyncBlock("keep_alive(...) as lease", self._inside(lease))

    def lock(
        self, name: bytes, ttl_s: int = TTL_S, *, wait_s: float | None = None
    ) -> SyncBlock[Lock]:
        """A thread cannot be stopped: look at `is_held` before what must not happen without it."""
        lock = self.aio.lock(name, ttl_s, wait_s=wait_s).looked_after()
        return SyncBlock("lock(...) as lock", self._inside(lock))

    def lead(
        self, name: bytes, value: bytes, ttl_s: int = TTL_S, *, wait_s: float | None = None
    ) -> SyncBlock[Leadership]:
        """Campaign, and lead inside the block; `is_held` as for a lock."""
        campaign = self.aio.election(name).campaign(value, ttl_s, wait_s=wait_s).looked_after()
        return SyncBlock("lead(...) as leadership", self._inside(campaign))

    def leader(self, name: bytes) -> kv_pb2.KeyValue | None:
        return self._run(self.aio.election(name).leader())

    def observe(self, name: bytes) -> SyncBlock[Iterator[kv_pb2.KeyValue]]:
        """with client.observe(b"boss") as leaders: for leader in leaders: ..."""
        leaders = self.aio.election(name).observe()
        return SyncBlock("observe(...) as leaders", self._iterating(aclosing(leaders), leaders))

    def lease_grant(self, ttl_s: int) -> lease_pb2.LeaseGrantResponse:
        return self._run(self.aio.lease_grant(ttl_s))

    def lease_revoke(self, lease_id: int) -> bool:
        return self._run(self.aio.lease_revoke(lease_id))

    def lease_keep_alive_once(self, lease_id: int) -> int:
        return self._run(self.aio.lease_keep_alive_once(lease_id))

    def lease_time_to_live(
        self, lease_id: int, *, keys: bool = False
    ) -> lease_pb2.LeaseTimeToLiveResponse:
        return self._run(self.aio.lease_time_to_live(lease_id, keys=keys))

    def lease_list(self) -> list[int]:
        return self._run(self.aio.lease_list())

    # The cluster

    def member_list(self) -> list[rpc_pb2.Member]:
        return self._run(self.aio.member_list())

    def status(self) -> rpc_pb2.StatusResponse:
        return self._run(self.aio.status())

    def hash_kv(self, revision: int = 0) -> rpc_pb2.HashKVResponse:
        return self._run(self.aio.hash_kv(revision))

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
    def _iterating(
        self, block: AbstractAsyncContextManager[object], items: AsyncIterator[T]
    ) -> Iterator[Iterator[T]]:
        with self._inside(block):
            yield self._iterate(items)

    @contextmanager
    def _inside(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        stay = _Stay(block)
        staying = self._begin(stay.whole())
        either: list[Future[Any]] = [stay.entered, staying]
        try:
            wait(either, return_when=FIRST_COMPLETED)
            if stay.entered.done():
                yield stay.entered.result()
        finally:
            if self._is_here:
                with suppress(RuntimeError):  # the loop is closed, and the block was left
                    self._loop.call_soon_threadsafe(stay.end)
                wait([staying])
        was_closed = stay.entered.done() and staying.cancelled()
        if self._is_here and not was_closed:
            _result(staying)


class _Stay(Generic[T]):
    """Inside a block of the asyncio client: one task over there enters it, and leaves it."""

    def __init__(self, block: AbstractAsyncContextManager[T]) -> None:
        self.entered: Future[T] = Future()
        self._block = block
        self._has_ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def whole(self) -> None:
        """From the beginning to the end."""
        self._task = asyncio.current_task()
        if not self._has_ended.is_set():
            async with self._block as held:
                self.entered.set_result(held)
                await self._has_ended.wait()

    def end(self) -> None:
        """Leave the block, or give up entering it. In the thread of the loop."""
        self._has_ended.set()
        if self._task is not None and not self.entered.done():
            self._task.cancel()


class SyncTransaction(Transaction):
    """See raftwerk.client.txn."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def commit(self) -> TxnResult:
        """Have it done. Raises as Client.txn."""
        return result_of(self._client.txn(self.request))


async def _done(action: Awaitable[T]) -> T:
    return await action


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except CancelledError as error:
        text = "the client was closed meanwhile"
        raise aio.OutcomeUnknown(status.CANCELLED, text) from error
