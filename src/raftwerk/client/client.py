"""The client: one method a request, with fail-over between endpoints.

Only what is safe is tried again: reads, and writes that certainly did not happen. A write whose fate is not known raises
OutcomeUnknown.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from google.protobuf.message import DecodeError, Message

from raftwerk.api import rpc_pb2, status
from raftwerk.client.channel import Channel
from raftwerk.client.errors import CallError, CallFailed, OutcomeUnknown
from raftwerk.errors import UsageError
from raftwerk.http2.client import Answer
from raftwerk.http2.grpc import UNAUTHENTICATED
from raftwerk.runtime.settings import Address, address_of

RETRY_S: Final = 0.05
_NOT_DONE: Final = frozenset((status.NO_LEADER.text, status.LEADER_CHANGED.text))
"""Texts of UNAVAILABLE that say that nothing happened: the request may be tried again.

LEADER_CHANGED: raftwerk says it of an entry that another leader's has replaced, etcd of reads only. STOPPED is not one of
them: etcd says it of writes that it has proposed already.
"""
_REFUSALS: Final = frozenset(
    (
        status.INVALID_ARGUMENT,
        status.NOT_FOUND,
        status.PERMISSION_DENIED,
        status.RESOURCE_EXHAUSTED,
        status.FAILED_PRECONDITION,
        status.OUT_OF_RANGE,
        status.UNIMPLEMENTED,
        UNAUTHENTICATED,
    )
)
"""Codes with which a server turns a request down before it does anything. Any other says nothing about a write's fate."""
_REFUSAL_TEXTS: Final = _NOT_DONE | {status.TOO_MANY_REQUESTS.text}
"""The last one comes as UNKNOWN from etcd."""

M = TypeVar("M", bound=Message)


def parse_endpoint(text: str) -> Address:
    """host:port, with or without http:// before it. Raises UsageError."""
    return address_of(text.strip() if "://" in text else f"http://{text.strip()}")


def _failure(answer: Answer, *, is_sent_write: bool) -> CallError:
    is_refusal = answer.status in _REFUSALS or answer.text in _REFUSAL_TEXTS
    kind = OutcomeUnknown if is_sent_write and not is_refusal else CallFailed
    return kind(answer.status, answer.text)


class Client:
    """async with Client(["127.0.0.1:2379"]) as client: await client.put(b"key", b"value")

    Belongs to the event loop that runs when it is first used. Any number of calls may be under way at once. Each method
    raises CallFailed when it certainly did nothing (or only reads), OutcomeUnknown when a write may have happened or may
    yet happen, and UsageError after `close`.
    """

    def __init__(self, endpoints: Sequence[str], *, timeout_s: float = 10.0) -> None:
        """Connect to nobody yet.

        endpoints: HOST:PORT each, the first is tried first, another one when it cannot be reached or has no leader.
        timeout_s: for one method, all attempts together. Raises UsageError for an endpoint that is none.
        """
        if not endpoints:
            raise UsageError("at least one endpoint is needed")
        self._channels = [Channel(parse_endpoint(endpoint)) for endpoint in endpoints]
        self._timeout_s = timeout_s
        self._current = 0
        self._is_closed = False

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
        """Close all connections, for good. Calls under way end at once: reads as CallFailed, writes as OutcomeUnknown."""
        self._is_closed = True
        for channel in self._channels:
            channel.close()

    async def put(self, key: bytes, value: bytes, *, prev_kv: bool = False) -> rpc_pb2.PutResponse:
        """Set a key. Returns the header (its revision is the write's), with prev_kv also what was there before."""
        request = rpc_pb2.PutRequest(key=key, value=value, prev_kv=prev_kv)
        return await self._write("/etcdserverpb.KV/Put", request, rpc_pb2.PutResponse)

    async def get(self, key: bytes, *, serializable: bool = False) -> bytes | None:
        """The value of a key, None if there is no such key.

        serializable: as the endpoint in use knows it, perhaps not the newest, without asking the other members.
        """
        request = rpc_pb2.RangeRequest(key=key, serializable=serializable)
        response = await self.range(request)
        return response.kvs[0].value if response.kvs else None

    async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        """Any Range: key-values in order, `count` of all that match, `more` when the limit left some out."""
        return await self._read("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)

    async def delete(
        self, key: bytes, range_end: bytes = b"", *, prev_kv: bool = False
    ) -> rpc_pb2.DeleteRangeResponse:
        """Remove a key, or all keys from `key` up to, not including, `range_end`. Returns how many, with prev_kv also what."""
        request = rpc_pb2.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=prev_kv)
        path = "/etcdserverpb.KV/DeleteRange"
        return await self._write(path, request, rpc_pb2.DeleteRangeResponse)

    async def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        """Any transaction: `success` or `failure` operations, all or none of them, by how the comparisons came out.

        Never tried again when its fate is unknown, as any write, even if it only reads.
        """
        return await self._write("/etcdserverpb.KV/Txn", request, rpc_pb2.TxnResponse)

    async def compact(self, revision: int, *, physical: bool = False) -> None:
        """Forget versions that were overwritten before `revision`. physical: return when they are gone at the endpoint."""
        request = rpc_pb2.CompactionRequest(revision=revision, physical=physical)
        await self._write("/etcdserverpb.KV/Compact", request, rpc_pb2.CompactionResponse)

    async def member_list(self) -> list[rpc_pb2.Member]:
        """All members of the cluster; one without a name has not started yet."""
        request = rpc_pb2.MemberListRequest(linearizable=True)
        path = "/etcdserverpb.Cluster/MemberList"
        response = await self._read(path, request, rpc_pb2.MemberListResponse)
        return list(response.members)

    async def status(self) -> rpc_pb2.StatusResponse:
        """How the endpoint in use stands, by its own word."""
        path = "/etcdserverpb.Maintenance/Status"
        return await self._read(path, rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse)

    async def hash_kv(self, revision: int = 0) -> rpc_pb2.HashKVResponse:
        """The hash over all keys and versions at a revision (0: the newest), at the endpoint in use."""
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
        if self._is_closed:
            raise UsageError("the client is closed")
        message = request.SerializeToString()
        answer = Answer(status.DEADLINE_EXCEEDED, "no endpoint could be reached in time")
        is_sent = False
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    channel = self._channels[self._current]
                    is_sent = False
                    try:
                        await channel.connect()
                        is_sent = True
                        answer = channel.no_answer
                        answer = await channel.call(path, message)
                    except (OSError, TimeoutError) as error:
                        answer = Answer(status.UNAVAILABLE, channel.unreachable_text(error))
                    if answer.status == status.OK:
                        return response_type.FromString(answer.message)
                    if not self._may_try_again(answer, is_sent_write=is_write and is_sent):
                        break
                    self._leave(channel)
                    await asyncio.sleep(RETRY_S)
        except DecodeError:
            answer = Answer(
                status.INTERNAL, f"{channel.address} gave an answer that cannot be read"
            )
        except TimeoutError:
            pass  # `answer` is the last one, or says that there was none
        raise _failure(answer, is_sent_write=is_write and is_sent)

    def _may_try_again(self, answer: Answer, *, is_sent_write: bool) -> bool:
        is_done = is_sent_write and answer.text not in _NOT_DONE
        return answer.status == status.UNAVAILABLE and not is_done and not self._is_closed

    def _leave(self, channel: Channel) -> None:
        """Turn to the next endpoint, unless another call did so already."""
        if self._channels[self._current] is channel:
            self._current = (self._current + 1) % len(self._channels)
