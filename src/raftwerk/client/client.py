"""The client: one method a request.

A write is done once, however often it had to be sent, if the servers know sessions (raftwerk's do): see has_exactly_once.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from google.protobuf.message import Message

from raftwerk.api import kv_pb2, lease_pb2, rpc_pb2, watch_pb2
from raftwerk.api.session_puts import SINGLE as PUT
from raftwerk.client import arguments
from raftwerk.client import lease as leases
from raftwerk.client.admin import Auth, Maintenance, Members
from raftwerk.client.calls import Calls
from raftwerk.client.contest import TTL_S, Lock
from raftwerk.client.credentials import check_credentials
from raftwerk.client.election import Election
from raftwerk.client.fate import Kind
from raftwerk.client.lease import Lease
from raftwerk.client.ranges import bounds
from raftwerk.client.txn import ClientTransaction
from raftwerk.client.watch import Watch

PAGE: Final = 1_000
"""Keys that are asked for at once."""
PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page of a scan that was larger is followed by one of fewer keys."""

M = TypeVar("M", bound=Message)


class Client:
    """async with Client(["127.0.0.1:2379"]) as client: await client.put(b"key", b"value")

    Belongs to the event loop that runs when it is first used. Any number of calls may be under way at once. Each method
    raises CallFailed when it certainly did nothing (or only reads), OutcomeUnknown when a write may have happened or may
    yet happen, and UsageError after `close` and for arguments of the wrong type.
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
        """Connect to nobody yet.

        endpoints: HOST:PORT each, the first is tried first, another one when it cannot be reached or has no leader.
        timeout_s: for one method, all attempts together; less if waiting cannot help (no endpoint has a name that is known,
        and a certificate that is accepted, and none was reached before). exactly_once: open a session with the first write,
        so that writes can be sent again safely. spread: begin with any of the endpoints, so that many clients share them out.
        credentials: name and password, where authentication is enabled. tls: for the endpoints of https://, which have the
        system's default without it, and for those that do not say; never for those of http://.

        Raises UsageError for an endpoint that is none, and for credentials that are not two texts.
        """
        arguments.check("timeout_s", "a number of seconds", timeout_s, int, float)
        check_credentials(credentials)
        self.calls = Calls(  # what the other modules of this package share
            endpoints,
            timeout_s=timeout_s,
            exactly_once=exactly_once,
            spread=spread,
            credentials=credentials,
            tls=tls,
        )

        self.members = Members(self.calls)
        self.maintenance = Maintenance(self.calls)
        self.auth = Auth(self.calls)

    @property
    def has_exactly_once(self) -> bool:
        """Whether writes are done once however often they are sent. Known after the first write.

        Without it (a real etcd) a write whose answer is lost raises OutcomeUnknown.
        """
        return self.calls.has_session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.calls.end_session()
        self.close()

    def close(self) -> None:
        """Close all connections, for good. Calls under way end at once: reads as CallFailed, writes as OutcomeUnknown."""
        self.calls.close()

    async def put(
        self,
        key: bytes,
        value: bytes,
        *,
        lease: int = 0,
        prev_kv: bool = False,
        ignore_value: bool = False,
        ignore_lease: bool = False,
    ) -> rpc_pb2.PutResponse:
        """Set a key. Returns the header (its revision is the write's), with prev_kv also what was there before.

        lease: the id of the one that the key lives with. ignore_value, ignore_lease: of a key that is there, keep what it
        has; value must be b"" then, or lease 0.
        """
        is_plain = prev_kv is False and ignore_value is False and ignore_lease is False
        message = arguments.plain_put(key, value, lease) if is_plain else None
        if message is None:
            message = arguments.request(
                rpc_pb2.PutRequest,
                key=key,
                value=value,
                lease=lease,
                prev_kv=prev_kv,
                ignore_value=ignore_value,
                ignore_lease=ignore_lease,
            ).SerializeToString()
        kind = rpc_pb2.PutResponse
        return await self.calls.unary(PUT, message, kind, Kind.WRITE, in_session=True)

    async def get(self, key: bytes, *, serializable: bool = False) -> bytes | None:
        """The value of a key, None if there is no such key.

        serializable: as the endpoint in use knows it, perhaps not the newest, without asking the other members.
        """
        request = arguments.request(rpc_pb2.RangeRequest, key=key, serializable=serializable)
        response = await self.range(request)
        return response.kvs[0].value if response.kvs else None

    async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        """Any Range: key-values in order, `count` of all that match, `more` when the limit left some out."""
        arguments.check("request", "a RangeRequest", request, rpc_pb2.RangeRequest)
        return await self._read("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)

    async def scan(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        revision: int = 0,
        keys_only: bool = False,
        page: int = PAGE,
    ) -> AsyncIterator[kv_pb2.KeyValue]:
        """All key-values of a range, in order, as they are at one revision: that of the first page, unless it is given.

        prefix: all keys that begin with `key` (b"": all there are). page: how many are read at once, at most: fewer when they
        are large. Raises CallFailed, in the midst of it too when the revision is compacted away.
        """
        key, range_end = bounds(key, range_end, prefix=prefix)
        more, limit = True, page
        while more:
            request = arguments.request(
                rpc_pb2.RangeRequest,
                key=key,
                range_end=range_end,
                limit=limit,
                revision=revision,
                keys_only=keys_only,
            )
            response = await self.range(request)
            fitting = len(response.kvs) * PAGE_BYTES // response.ByteSize()
            limit = min(page, max(1, fitting))
            for kv in response.kvs:
                yield kv
            revision = revision or response.header.revision
            more = response.more
            if more:
                key = response.kvs[-1].key + b"\0"

    async def count(self, key: bytes, range_end: bytes = b"", *, prefix: bool = False) -> int:
        """How many keys there are in a range."""
        key, range_end = bounds(key, range_end, prefix=prefix)
        request = arguments.request(
            rpc_pb2.RangeRequest, key=key, range_end=range_end, count_only=True
        )
        return (await self.range(request)).count

    async def delete(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        prev_kv: bool = False,
    ) -> rpc_pb2.DeleteRangeResponse:
        """Remove a key, or all keys from `key` up to, not including, `range_end`. Returns how many, with prev_kv also what."""
        key, range_end = bounds(key, range_end, prefix=prefix)
        request = arguments.request(
            rpc_pb2.DeleteRangeRequest, key=key, range_end=range_end, prev_kv=prev_kv
        )
        path = "/etcdserverpb.KV/DeleteRange"
        return await self._write(path, request, rpc_pb2.DeleteRangeResponse)

    async def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        """Any transaction: `success` or `failure` operations, all or none of them, by how the comparisons came out."""
        arguments.check("request", "a TxnRequest", request, rpc_pb2.TxnRequest)
        return await self._write("/etcdserverpb.KV/Txn", request, rpc_pb2.TxnResponse)

    def transaction(self) -> ClientTransaction:
        """A transaction to be put together: when, then, otherwise, commit."""
        return ClientTransaction(self.txn)

    async def compact(self, revision: int, *, physical: bool = False) -> None:
        """Forget versions that were overwritten before `revision`. physical: return when they are gone at the endpoint."""
        request = arguments.request(rpc_pb2.CompactionRequest, revision=revision, physical=physical)
        await self._write("/etcdserverpb.KV/Compact", request, rpc_pb2.CompactionResponse)

    def watch(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prefix: bool = False,
        start_revision: int = 0,
        prev_kv: bool = False,
        progress_notify: bool = False,
    ) -> Watch:
        """Events of a key or a range, from now on or from start_revision, inside the block of what is returned."""
        key, range_end = bounds(key, range_end, prefix=prefix)
        request = arguments.request(
            watch_pb2.WatchCreateRequest,
            key=key,
            range_end=range_end,
            start_revision=start_revision,
            prev_kv=prev_kv,
            progress_notify=progress_notify,
        )
        return Watch(self.calls, request).expected()

    def lease(self, ttl_s: int) -> Lease:
        """A lease that is kept alive inside the block of what is returned, and revoked after it."""
        return Lease(self.calls, ttl_s).expected()

    async def lease_grant(self, ttl_s: int) -> lease_pb2.LeaseGrantResponse:
        """A lease that ends by itself. The servers may grant it for longer."""
        return await leases.grant(self.calls, ttl_s)

    def keep_alive(self, lease_id: int) -> Lease:
        """A lease that is there already, kept alive inside the block of what is returned. LeaseLost is raised if it is not.

        Raises UsageError for the id 0, which no lease has, and for what is no id: None would be another lease, a new one.
        """
        arguments.check("lease_id", arguments.LEASE_ID, lease_id, int)
        return Lease(self.calls, 0, lease_id).expected()

    async def lease_keep_alive_once(self, lease_id: int) -> int:
        """Give a lease all its time anew. Returns that time in seconds. Raises LeaseLost when it is no more."""
        return await leases.keep_alive_once(self.calls, lease_id)

    async def lease_revoke(self, lease_id: int) -> bool:
        """End a lease and delete its keys. Returns whether it was there.

        False may also be the answer to a second attempt, after a first one that has ended it, and whose answer was lost.
        """
        return await leases.revoke(self.calls, lease_id)

    async def lease_time_to_live(
        self, lease_id: int, *, keys: bool = False
    ) -> lease_pb2.LeaseTimeToLiveResponse:
        """What is left of a lease (TTL -1: it is no more), and which keys are attached."""
        return await leases.time_to_live(self.calls, lease_id, keys=keys)

    async def lease_list(self) -> list[int]:
        """Ids of all leases that the endpoint in use knows."""
        return await leases.all_leases(self.calls)

    def lock(self, name: bytes, ttl_s: int = TTL_S, *, wait_s: float | None = None) -> Lock:
        """Hold a lock inside the block of what is returned. ttl_s: others wait so long when this process dies.

        wait_s: entering the block raises TimeoutError when others have it for so long; 0: at once.
        """
        return Lock(self, name, ttl_s, wait_s).expected()

    def election(self, name: bytes) -> Election:
        """Campaign, or see who leads."""
        return Election(self, name)

    async def member_list(self) -> list[rpc_pb2.Member]:
        """All members of the cluster; one without a name has not started yet."""
        return list(await self.members.list())

    async def status(self) -> rpc_pb2.StatusResponse:
        """How the endpoint in use stands, by its own word."""
        path = "/etcdserverpb.Maintenance/Status"
        return await self._read(path, rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse)

    async def hash_kv(self, revision: int = 0) -> rpc_pb2.HashKVResponse:
        """The hash over all keys and versions at a revision (0: the newest), at the endpoint in use."""
        path = "/etcdserverpb.Maintenance/HashKV"
        request = arguments.request(rpc_pb2.HashKVRequest, revision=revision)
        return await self._read(path, request, rpc_pb2.HashKVResponse)

    def _read(self, path: str, request: Message, response_type: type[M]) -> Awaitable[M]:
        return self.calls.unary(path, request.SerializeToString(), response_type, Kind.READ)

    def _write(self, path: str, request: Message, response_type: type[M]) -> Awaitable[M]:
        message = request.SerializeToString()
        return self.calls.unary(path, message, response_type, Kind.WRITE, in_session=True)
