"""Watch a range: every event once and in order, whatever becomes of connections and servers.

async with client.watch(b"job/", prefix=True) as events:
    async for event in events:
        print(event.kind, event.key, event.value)

The stream may end at any time: another one is opened, at this endpoint or the next, that begins behind the last event that has
come. What it begins with was never delivered, and nothing is left out, because a server answers from its history. Only when
that is compacted away is there a gap, and then `Compacted` is raised.
"""

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import ClassVar, Final, Self

from raftwerk.api import kv_pb2, status, watch_pb2
from raftwerk.client.block import Block
from raftwerk.client.calls import REFRESHES_MAX, RETRY_S, Calls, OpenStream
from raftwerk.client.credentials import REFUSALS
from raftwerk.client.errors import CallFailed, Compacted
from raftwerk.http2.client import Answer

PATH: Final = "/etcdserverpb.Watch/Watch"

_IN_WORDS_OF_GO: Final = re.compile(r"rpc error: code = (\w+) desc = (.*)", re.DOTALL)
_CODES: Final = {
    "InvalidArgument": status.INVALID_ARGUMENT,
    "PermissionDenied": status.PERMISSION_DENIED,
    "Unauthenticated": status.UNAUTHENTICATED,
    "Unavailable": status.UNAVAILABLE,
}
_CODES_OF_TEXTS: Final = {
    status.NO_LEADER.text: status.UNAVAILABLE,
    status.STOPPED.text: status.UNAVAILABLE,
    "mvcc: watcher range is empty": status.INVALID_ARGUMENT,
}


class EventKind(Enum):
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one key. value: empty for DELETE. prev_kv: if it was asked for, and there was one."""

    kind: EventKind
    key: bytes
    value: bytes
    revision: int
    kv: kv_pb2.KeyValue
    prev_kv: kv_pb2.KeyValue | None


class Watch(Block):
    """Events of a range, from now on or from start_revision. Iterate once, inside its block."""

    WITHIN: ClassVar[str] = (
        "a watch is read inside its block: async with client.watch(...) as events (without async in raftwerk.sync)"
    )

    def __init__(self, calls: Calls, request: watch_pb2.WatchCreateRequest) -> None:
        self._calls = calls
        self._request = request
        self._stream: OpenStream | None = None
        self._events: deque[Event] = deque()
        self._refreshes = 0
        """New tokens in a row that were of no use."""
        self._is_entered = False
        self.next_revision = request.start_revision
        """Everything before it has come (0: not known yet)."""

    async def __aenter__(self) -> Self:
        """Returns when the server watches: no later event is missed. Raises CallFailed when it refuses."""
        self.looked_after()
        try:
            while self._stream is None or not self.next_revision:
                await self._advance()
        except BaseException:
            self._close()
            raise
        self._is_entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_entered = False
        self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises Compacted, CallFailed when watching is refused.

        Raises UsageError outside of the block, and when the client is closed.
        """
        if not self._is_entered:
            raise self.misused()
        while not self._events:
            await self._advance()
        return self._events.popleft()

    @property
    def progress(self) -> int:
        """The revision up to which everything has come; with `progress_notify` it grows without events too."""
        return self.next_revision - 1

    async def _advance(self) -> None:
        """One step: open the stream, or take a message."""
        if self._stream is None:
            self._calls.check_open()
            self._stream = await self._open()
            return
        stream = self._stream
        message = await stream.receive()
        if isinstance(message, Answer):
            await self._ended(stream, message)
            return
        response = watch_pb2.WatchResponse.FromString(message)
        if response.canceled:
            await self._cancelled(stream, response)
            return
        self._take(response)

    async def _open(self) -> OpenStream:
        """A stream that begins where the last one ended."""
        while True:
            try:
                stream = await self._calls.open(PATH)
                break
            except CallFailed as failure:
                if failure.code != status.UNAVAILABLE or not self.next_revision:
                    raise  # one that had begun goes on for as long as it takes
                self._calls.check_open()
        request = watch_pb2.WatchCreateRequest()
        request.CopyFrom(self._request)
        request.start_revision = self.next_revision
        stream.send(watch_pb2.WatchRequest(create_request=request))
        return stream

    def _take(self, response: watch_pb2.WatchResponse) -> None:
        self._refreshes = 0
        self._calls.goes_on()
        seen = response.header.revision
        if response.created:
            self.next_revision = self.next_revision or seen + 1
        elif response.events:
            self._events.extend(_event(event) for event in response.events)
            self.next_revision = response.events[-1].kv.mod_revision + 1
        else:  # progress: everything up to there was delivered
            self.next_revision = max(self.next_revision, seen + 1)

    async def _cancelled(self, stream: OpenStream, response: watch_pb2.WatchResponse) -> None:
        if response.compact_revision:
            self._close()
            raise Compacted(*status.COMPACTED, response.compact_revision)
        answer = cancellation(response.cancel_reason)
        if answer.status == status.UNKNOWN:
            self._close()
            raise CallFailed(answer.status, answer.text)
        await self._ended(stream, answer)

    async def _ended(self, stream: OpenStream, answer: Answer) -> None:
        """Returns when another stream may do better."""
        self._close()
        self._refreshes += answer.text in REFUSALS
        if not self._calls.failed(stream, answer) or self._refreshes > REFRESHES_MAX:
            self._calls.check_open()
            raise CallFailed(answer.status, answer.text)
        await asyncio.sleep(RETRY_S)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def cancellation(reason: str) -> Answer:
    """Code and text of a cancel_reason: of a refusal etcd tells both, in Go's words; elsewhere the text says all.

    >>> cancellation("rpc error: code = PermissionDenied desc = etcdserver: permission denied")[:2]
    (7, 'etcdserver: permission denied')
    """
    told = _IN_WORDS_OF_GO.fullmatch(reason)
    if told is not None:
        return Answer(_CODES.get(told[1], status.UNKNOWN), told[2])
    code = _CODES_OF_TEXTS.get(reason, status.UNKNOWN)
    return Answer(code, reason or "the server cancelled the watch")


def _event(event: kv_pb2.Event) -> Event:
    return Event(
        EventKind.DELETE if event.type == kv_pb2.Event.DELETE else EventKind.PUT,
        event.kv.key,
        event.kv.value,
        event.kv.mod_revision,
        event.kv,
        event.prev_kv if event.HasField("prev_kv") else None,
    )
