"""The links to the peers: TCP connections that come and go, behind replica.ports.Network.

Each node dials each other node, and sends on the connections that it dialled; what it receives comes in on those that
the others dialled. A node that was not there, and now dials, is dialled at once. Snapshot chunks have a connection of their
own, dialled when needed, so that no heartbeat ever waits behind one. Messages may be lost with a connection: the core
expects that.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final, Protocol

from raftwerk.durations import Durations
from raftwerk.raft.events import Event, LinkClosed, LinkOpened, Received
from raftwerk.raft.messages import InstallSnapshot, Message
from raftwerk.raft.types import NodeId
from raftwerk.runtime import listening
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.complaints import Complaints
from raftwerk.runtime.connection import Inbound, Outbound
from raftwerk.runtime.dialling import reach
from raftwerk.runtime.tls_setup import PeerTls
from raftwerk.wire.codec import encode
from raftwerk.wire.handshake import Stream

RETRY_MS_MIN: Final = 20
RETRY_MS_MAX: Final = 500
CONNECT_TIMEOUT_S: Final = 2.0
BUFFER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Not yet taken by the kernel: beyond this, messages to that peer are dropped."""
SNAPSHOT_IDLE_S: Final = 30.0
REFUSALS_MAX: Final = 100
"""Of members, of whatever cluster, whose last refusal is remembered."""
ROUND_TRIP_S: Final = 5.0
"""How often the round trip to a peer is looked at, from the welcome on."""


class OnRefused(Protocol):
    """has_forgotten: for good, because this node lost the data folder with which the peer had met it."""

    def __call__(self, peer: NodeId, reason: str, *, has_forgotten: bool) -> None: ...


class Link:
    """The dialled connection of one kind to one peer: kept up (messages) or made on demand (snapshots)."""

    def __init__(
        self, links: "Links", peer: NodeId, addresses: Sequence[Address], stream: Stream
    ) -> None:
        self._links = links
        self.peer = peer
        self.stream = stream
        self._addresses = addresses
        self._connection: Outbound | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        """Snapshot stream only: frames that wait for the connection."""
        self._refusal = ""
        self._error = ""
        """Why the last attempt to connect failed."""
        self._is_unreachable = False
        """That was told."""
        self._hastened = asyncio.Event()
        """Since the last attempt began."""
        self.sent_bytes = 0
        self.dropped_count = 0

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_connected())
            self._task.add_done_callback(self._on_ended)

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._links.on_failed(error)

    def hasten(self) -> None:
        """The peer is there: if it was not, try at once. (A connection that broke waits: both sides could go on and on.)"""
        self._hastened.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def send(self, frames: list[bytes]) -> None:
        """Hand over, or drop if there is no connection."""
        connection = self._connection
        if connection is not None and connection.buffered_bytes < BUFFER_BYTES_MAX:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            self.sent_bytes += len(data)
            connection.write(data)
        elif connection is None and self.stream is Stream.SNAPSHOT:
            self._unsent = frames[-1:]  # chunks are asked for one at a time
            self.start()
        else:
            self.dropped_count += len(frames)

    async def _keep_connected(self) -> None:
        retry_ms = RETRY_MS_MIN
        while True:
            self._hastened.clear()
            for address in self._addresses:
                self._error = ""
                was_up = await self._connect(address)
                retry_ms = RETRY_MS_MIN if was_up else min(2 * retry_ms, RETRY_MS_MAX)
            if self.stream is Stream.SNAPSHOT:
                return  # the next chunk dials again
            if self._error and not self._is_unreachable:
                self._is_unreachable = True
                self._links.on_unreachable(self.peer, self._error)
            pause_ms = retry_ms // 2 + self._links.random.randrange(retry_ms)
            if was_up:
                await asyncio.sleep(pause_ms / 1000)
            else:
                await self._pause(pause_ms)

    async def _pause(self, pause_ms: int) -> None:
        """Shorter when the peer dials meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_ms / 1000):
                await self._hastened.wait()
                await asyncio.sleep(RETRY_MS_MIN / 1000)

    async def _connect(self, address: Address) -> bool:
        """One connection, from dialling to its end. Returns whether the handshake succeeded."""
        links = self._links
        outbound = Outbound(links.cluster_id, links.node_id, self.peer, self.stream, links.life)
        try:
            if not await self._dial(outbound, address):
                return False
            self._connection = outbound
            if self.stream is Stream.MESSAGES:
                links.post(LinkOpened(self.peer))
                if self._is_unreachable:
                    self._is_unreachable = False
                    links.on_unreachable(self.peer, "")
            elif self._unsent:
                frames, self._unsent = self._unsent, []
                self.send(frames)
            await self._until_closed(outbound)
        finally:
            self._connection = None
            outbound.close()
        return True

    async def _dial(self, outbound: Outbound, address: Address) -> bool:
        """Connect and shake hands. Returns whether the peer welcomed us; it may still be connected if it did not."""
        links = self._links
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: outbound,
                    sock=await reach(address),
                    ssl=links.tls.dial if address.is_tls else None,
                    server_hostname=address.host if address.is_tls else None,
                )
                refusal = await outbound.welcomed
        except ssl.SSLError as error:
            refusal = f"TLS: {error}"
        except (OSError, TimeoutError) as error:
            self._error = f"{address}: {str(error) or 'no answer'}"
            return False
        if refusal and refusal != self._refusal:  # said once, not at each attempt
            links.on_refused(self.peer, refusal, has_forgotten=outbound.has_forgotten)
        self._refusal = refusal
        return not refusal

    async def _until_closed(self, outbound: Outbound) -> None:
        if self.stream is Stream.MESSAGES:
            while not outbound.closed.done():
                self._links.round_trips[self.peer].observe(outbound.round_trip_s)
                await asyncio.wait([outbound.closed], timeout=ROUND_TRIP_S)
            if outbound.closed.result():
                self._links.post(LinkClosed(self.peer))
            return
        sent_bytes = -1
        while sent_bytes != self.sent_bytes and not outbound.closed.done():
            sent_bytes = self.sent_bytes
            await asyncio.wait([outbound.closed], timeout=SNAPSHOT_IDLE_S)


class Links:
    """All connections of one node. Implements replica.ports.Network."""

    def __init__(
        self,
        cluster_id: int,
        node_id: NodeId,
        peers: Mapping[NodeId, Sequence[Address]],
        random: Random,
        post: Callable[[Event], None],
        on_refused: OnRefused,
        on_unreachable: Callable[[NodeId, str], None],
        on_failed: Callable[[Exception], None],
        tls: PeerTls = PeerTls(),  # noqa: B008  (immutable)
        life: int = 0,
        meet: Callable[[NodeId, int], bool] = lambda _peer, _life: True,
    ) -> None:
        """post: takes LinkOpened, LinkClosed and Received. on_refused: a peer does not want to talk to us, and why.

        on_unreachable: a peer is not to be connected to at any of its addresses, and why; "": it is again.
        life, meet: of this node's data folder; whether the one that a peer tells is welcome (see lives.py).
        on_failed: a link ended for a reason that is none (a bug of ours): the node must not go on without it.
        """
        self.complaints = Complaints()
        self.tls = tls
        self.life = life
        self.meet = meet
        self.cluster_id = cluster_id
        self.node_id = node_id
        self.random = random
        self.post = post
        self.on_refused = on_refused
        self.on_unreachable = on_unreachable
        self.on_failed = on_failed
        self._messages = {
            peer: Link(self, peer, addresses, Stream.MESSAGES) for peer, addresses in peers.items()
        }
        self._snapshots = {
            peer: Link(self, peer, addresses, Stream.SNAPSHOT) for peer, addresses in peers.items()
        }
        self._inbound: set[Inbound] = set()
        self._refusals: dict[NodeId, str] = {}
        """Why a peer, or whoever says that it is one, was not welcome the last time it came."""
        self._servers: list[asyncio.Server] = []
        self.received_bytes: dict[NodeId, int] = dict.fromkeys(peers, 0)
        self.round_trips: dict[NodeId, Durations] = {peer: Durations() for peer in peers}

    async def listen(self, addresses: Sequence[Address]) -> None:
        """Accept the peers' connections. Raises UsageError if an address cannot be bound."""
        known = frozenset(self._messages)
        self._servers = await listening.listen(
            "peer", addresses, lambda: Inbound(self, known), self.tls.listen
        )

    def connect(self) -> None:
        """Begin to dial all peers, for ever."""
        for link in self._messages.values():
            link.start()

    def send(self, to: NodeId, messages: Sequence[Message]) -> None:
        """Hand over to the connections to a peer; what cannot be sent now is dropped."""
        frames = []
        for message in messages:
            if isinstance(message, InstallSnapshot):
                if to in self._snapshots:
                    self._snapshots[to].send([encode(message)])
            else:
                frames.append(encode(message))
        if frames and to in self._messages:
            self._messages[to].send(frames)

    def traffic(self) -> dict[NodeId, tuple[int, int]]:
        """(bytes sent, bytes received) by peer."""
        return {
            peer: (link.sent_bytes + self._snapshots[peer].sent_bytes, self.received_bytes[peer])
            for peer, link in self._messages.items()
        }

    def dropped(self) -> dict[NodeId, int]:
        """Messages that could not be sent, by peer: there was no connection, or it took no more."""
        return {peer: link.dropped_count for peer, link in self._messages.items()}

    def is_up(self, peer: NodeId) -> bool:
        """Whether the dialled message connection stands."""
        return self._messages[peer].is_up

    # What inbound connections tell

    def on_inbound(self, inbound: Inbound) -> None:
        self._inbound.add(inbound)

    def note_refusal(self, peer: NodeId, refusal: str) -> bool:
        """What a peer's hello came to; "": it is welcome. Returns whether that is news: it dials again and again."""
        before = self._refusals.pop(peer, "")
        if refusal:
            self._refusals[peer] = refusal
        if len(self._refusals) > REFUSALS_MAX:
            del self._refusals[next(iter(self._refusals))]  # it was silent for longest
        return refusal != before

    def on_welcomed(self, peer: NodeId) -> None:
        self._messages[peer].hasten()

    def on_messages(self, sender: NodeId, messages: list[Message], size: int) -> None:
        self.received_bytes[sender] += size
        for message in messages:
            self.post(Received(sender, message))

    def on_inbound_closed(self, inbound: Inbound, sender: NodeId | None, *, by_peer: bool) -> None:
        self._inbound.discard(inbound)
        if sender is not None and by_peer:
            self.post(LinkClosed(sender))

    async def stop(self) -> None:
        """End all connections; none is accepted or dialled any more. May be called again."""
        for server in self._servers:
            server.close()
        for link in [*self._messages.values(), *self._snapshots.values()]:
            await link.stop()
        for inbound in list(self._inbound):
            inbound.close()
