"""The other end of a link, as a test wants it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import cast, overload

from raftwerk.raft.events import Event
from raftwerk.raft.messages import Message
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.links import Links
from raftwerk.wire.codec import decode
from raftwerk.wire.frame import FrameDecoder
from raftwerk.wire.handshake import VERSION, HelloReader, Refused, Stream, Welcome, encode_answer

CLUSTER = 0xC1
US, PEER = 1, 2


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as it holds. Fails the test after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def free_address() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", probe.getsockname()[1])


def run(body: Callable[[], Awaitable[None]]) -> None:
    """Run, and check that no task is left."""

    async def main() -> None:
        await body()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


class NoJitter(Random):
    """Always the least number; remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ranges: list[int] = []

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self.ranges.append(start)
        return 0


class EndlessPauses(NoJitter):
    """Of a number that no test waits for."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return super().randrange(start) + 10**9


class AddressesThatFail(Sequence[Address]):
    """Looking at them is a bug."""

    @overload
    def __getitem__(self, index: int) -> Address: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Address]: ...
    def __getitem__(self, index: int | slice) -> Address | Sequence[Address]:
        raise AssertionError("a bug")

    def __iter__(self) -> Iterator[Address]:
        raise AssertionError("a bug")

    def __len__(self) -> int:
        return 1


class SilentPeer:
    """Welcomes (or refuses, or leaves unanswered) whoever dials, and reads only the streams in `reads`."""

    def __init__(
        self,
        *,
        refusal: str = "",
        is_mute: bool = False,
        reads: Sequence[Stream] = tuple(Stream),
    ) -> None:
        self.refusal = refusal
        self.is_mute = is_mute
        self.ended_count = 0
        self.reads = reads
        self.address = Address("127.0.0.1", 0)
        self.connections: list[_Accepted] = []
        self.messages: list[tuple[Stream, Message]] = []

    def streams(self) -> list[Stream | None]:
        """What each connection was for, in the order in which they came."""
        return [connection.stream for connection in self.connections]

    def end_connections(self) -> None:
        """As the kernel does for a process that dies."""
        for connection in self.connections:
            connection.transport.abort()


class _Accepted(asyncio.Protocol):
    def __init__(self, peer: SilentPeer) -> None:
        self._peer = peer
        self._hello = HelloReader()
        self._frames = FrameDecoder()
        self.stream: Stream | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._peer.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer.ended_count += 1

    def data_received(self, data: bytes) -> None:
        if self.stream is not None:
            frames = self._frames.feed(data)
            self._peer.messages += [
                (self.stream, decode(kind, payload)) for kind, payload in frames
            ]
            return
        hello = self._hello.feed(data)
        if hello is None:
            return
        if self._peer.refusal:
            self.transport.write(encode_answer(Refused(self._peer.refusal)))
            self.transport.close()
            return
        self.stream = hello.stream
        if self._peer.is_mute:
            return
        self.transport.write(encode_answer(Welcome(VERSION)))
        if hello.stream not in self._peer.reads:
            self.transport.pause_reading()


@asynccontextmanager
async def listening(peer: SilentPeer) -> AsyncIterator[SilentPeer]:
    """Let it accept connections, at its `address`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Accepted(peer), "127.0.0.1", peer.address.port)
    peer.address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield peer
    finally:
        server.close()
        peer.end_connections()


@dataclass
class Told:
    """What links told their node."""

    events: list[Event] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    unreachable: list[tuple[int, str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def on_refused(self, peer: int, reason: str, *, has_forgotten: bool) -> None:
        self.refusals.append((peer, reason))


@asynccontextmanager
async def links_to(
    addresses: Sequence[Address],
    random: Random | None = None,
    *,
    node_id: int = US,
    peer: int = PEER,
    cluster_id: int = CLUSTER,
) -> AsyncIterator[tuple[Links, Told]]:
    """Links of one node with one peer; stopped, and seen to leave no task, at the end."""
    told = Told()
    links = Links(
        cluster_id,
        node_id,
        {peer: addresses},
        random or Random(1),
        told.events.append,
        told.on_refused,
        lambda who, reason: told.unreachable.append((who, reason)),
        told.failures.append,
    )
    try:
        async with asyncio.timeout(10):
            yield links, told
    finally:
        await links.stop()
