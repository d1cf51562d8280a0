"""The client: one method a request, with fail-over between endpoints.

Only what is safe is tried again: reads, and writes that certainly did not happen. A write whose fate is not known raises
OutcomeUnknown.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from google.protobuf.message import Message

from raftwerk.api import rpc_pb2, status
from raftwerk.client.channel import Channel
from raftwerk.client.errors import CallFailed, OutcomeUnknown
from raftwerk.errors import UsageError
from raftwerk.http2.client import Answer
from raftwerk.runtime.settings import Address, address_of

RETRY_S: Final = 0.05
_NOT_DONE: Final = frozenset(
    (status.NO_LEADER.text, status.STOPPED.text, status.LEADER_CHANGED.text)
)
"""Texts of UNAVAILABLE that say that nothing happened (LEADER_CHANGED: our server's meaning, see kv_service)."""

M = TypeVar("M", bound=Message)


def parse_endpoint(text: str) -> Address:
    """host:port, with or without http:// before it. Raises UsageError."""
    return address_of(text if "://" in text else f"http://{text}")


class Client:
    """async with Client(["127.0.0.1:2379"]) as client: await client.put(b"key", b"value")"""

    def __init__(self, endpoints: Sequence[str], *, timeout_s: float = 10.0) -> None:
        """timeout_s: for one method, all attempts together. Raises UsageError for an endpoint that is none."""
        if not endpoints:
            raise UsageError("at least one endpoint is needed")
        self._channels = [Channel(parse_endpoint(endpoint)) for endpoint in endpoints]
        self._timeout_s = timeout_s
        self._current = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            channel.close()

    async def put(self, key: bytes, value: bytes, *, prev_kv: bool = False) -> rpc_pb2.PutResponse:
        """Set a key. Raises OutcomeUnknown or CallFailed."""
        request = rpc_pb2.PutRequest(key=key, value=value, prev_kv=prev_kv)
        return await self._write("/etcdserverpb.KV/Put", request, rpc_pb2.PutResponse)

    async def get(self, key: bytes, *, serializable: bool = False) -> bytes | None:
        """The value of a key, or None. Raises CallFailed."""
        request = rpc_pb2.RangeRequest(key=key, serializable=serializable)
        response = await self.range(request)
        return response.kvs[0].value if response.kvs else None

    async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        """Any Range. Raises CallFailed."""
        return await self._read("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)

    async def delete(
        self, key: bytes, range_end: bytes = b"", *, prev_kv: bool = False
    ) -> rpc_pb2.DeleteRangeResponse:
        """Remove a key or a range. Raises OutcomeUnknown or CallFailed."""
        request = rpc_pb2.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=prev_kv)
        path = "/etcdserverpb.KV/DeleteRange"
        return await self._write(path, request, rpc_pb2.DeleteRangeResponse)

    async def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        """Any transaction. Raises OutcomeUnknown or CallFailed."""
        return await self._write("/etcdserverpb.KV/Txn", request, rpc_pb2.TxnResponse)

    async def compact(self, revision: int, *, physical: bool = False) -> None:
        """Forget versions before a revision. Raises CallFailed or OutcomeUnknown."""
        request = rpc_pb2.CompactionRequest(revision=revision, physical=physical)
        await self._write("/etcdserverpb.KV/Compact", request, rpc_pb2.CompactionResponse)

    async def member_list(self) -> list[rpc_pb2.Member]:
        """All members. Raises CallFailed."""
        request = rpc_pb2.MemberListRequest(linearizable=True)
        path = "/etcdserverpb.Cluster/MemberList"
        response = await self._read(path, request, rpc_pb2.MemberListResponse)
        return list(response.members)

    async def status(self) -> rpc_pb2.StatusResponse:
        """Of the endpoint in use. Raises CallFailed."""
        path = "/etcdserverpb.Maintenance/Status"
        return await self._read(path, rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse)

    async def hash_kv(self, revision: int = 0) -> rpc_pb2.HashKVResponse:
        """The hash over all keys and versions at a revision, at the endpoint in use. Raises CallFailed."""
        path = "/etcdserverpb.Maintenance/HashKV"
        request = rpc_pb2.HashKVRequest(revision=revision)
        return await self._read(path, request, rpc_pb2.HashKVResponse)

    async def _read(self, path: str, request: Message, response_type: type[M]) -> M:
        return await self._call(path, request, response_type, is_write=False)

    async def _write(self, path: str, request: Message, response_type: type[M]) -> M:
        return await self._call(path, request, response_type, is_write=True)

    async def _call(
        self, path: str, request: Message, response_type: type[M], *, is_write: bool
    ) -> M:
        message = request.SerializeToString()
        problem = CallFailed(status.DEADLINE_EXCEEDED, "no endpoint answered in time")
        is_sent = False
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    channel = self._channels[self._current % len(self._channels)]
                    try:
                        await channel.connect()
                        is_sent = True
                        answer = await channel.call(path, message)
                    except (OSError, TimeoutError) as error:
                        answer = Answer(status.UNAVAILABLE, channel.unreachable_text(error))
                    if answer.status == status.OK:
                        return response_type.FromString(answer.message)
                    problem = CallFailed(answer.status, answer.text)
                    if answer.status != status.UNAVAILABLE:
                        raise problem
                    if is_write and is_sent and answer.text not in _NOT_DONE:
                        raise OutcomeUnknown(answer.status, answer.text)
                    is_sent = False
                    self._current += 1  # another endpoint
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            if is_write and is_sent:
                raise OutcomeUnknown(problem.code, problem.text) from None
            raise problem from None
