"""One TCP connection to or from a peer, as asyncio protocols around the pure wire/ package."""

import asyncio
import socket
import struct
from typing import Final, Protocol, cast

import structlog

from raftwerk.errors import PeerProtocolError
from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import PREFACE
from raftwerk.raft.messages import Message
from raftwerk.raft.types import NodeId
from raftwerk.runtime.complaints import Complaints
from raftwerk.runtime.descriptors import are_scarce
from raftwerk.wire.codec import decode
from raftwerk.wire.frame import FrameDecoder
from raftwerk.wire.handshake import (
    AnswerReader,
    Hello,
    HelloReader,
    Refused,
    Stream,
    encode_answer,
    encode_hello,
    judge,
    refused_for_its_life,
)

log = structlog.get_logger()

HANDSHAKE_TIMEOUT_S: Final = 5.0
WRONG_PORT: Final = "this is the port for peers; name the one for clients (--listen-client-urls)"
USER_TIMEOUT_MS: Final = 5_000
"""Unacknowledged data older than this ends a connection to a host that is gone."""
TCP_INFO_BYTES: Final = 72
TCP_INFO_RTT: Final = 68
"""Where Linux's struct tcp_info has tcpi_rtt, in microseconds."""


def _tune(transport: asyncio.BaseTransport) -> None:
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


class Outbound(asyncio.Protocol):
    """A dialled connection: says hello, then only sends."""

    def __init__(
        self, cluster_id: int, node_id: NodeId, peer: NodeId, stream: Stream, life: int = 0
    ) -> None:
        self._hello = encode_hello(cluster_id, node_id, peer, stream, life)
        self._reader: AnswerReader | None = AnswerReader()
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[str] = loop.create_future()
        """Resolves to "" when welcomed, else to the reason of the refusal."""
        self.has_forgotten = False
        """The refusal is for good: the peer has met this member with another data folder."""
        self.closed: asyncio.Future[bool] = loop.create_future()
        """Resolves when the connection ends: whether the peer's kernel ended it (and not this side, or a timeout)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        _tune(transport)
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self.welcomed.done():
            self.close()  # nothing is expected here after the welcome
            return
        try:
            answer = self._reader.feed(data)
        except PeerProtocolError as error:
            self.welcomed.set_result(str(error))
            return
        if answer is not None:
            self._reader = None
            self.has_forgotten = isinstance(answer, Refused) and answer.has_forgotten
            self.welcomed.set_result(answer.reason if isinstance(answer, Refused) else "")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_result("the connection was closed before the welcome")
        if not self.closed.done():
            self.closed.set_result(not isinstance(exc, TimeoutError))

    @property
    def round_trip_s(self) -> float:
        """How long the peer's kernel takes to answer, as this one measures it all the time; 0.0 where that is not told."""
        connection = self._transport.get_extra_info("socket") if self._transport else None
        if connection is None or not hasattr(socket, "TCP_INFO"):
            return 0.0
        try:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        except OSError:  # it has just been reset
            return 0.0
        return float(struct.unpack_from("I", info, TCP_INFO_RTT)[0]) / 1e6

    @property
    def buffered_bytes(self) -> int:
        """Written, but not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, data: bytes) -> None:
        """Hand over; dropped when the connection has ended and its owner has yet to hear of it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """End it from this side."""
        if not self.closed.done():
            self.closed.set_result(False)
        if self._transport is not None:
            self._transport.abort()


class InboundOwner(Protocol):
    """Whom an inbound connection reports to."""

    cluster_id: int
    node_id: NodeId
    complaints: Complaints

    def meet(self, peer: NodeId, life: int) -> bool:
        """Whether it is the life that was met before, or the first; remembered from now on. Raises OSError."""

    def on_inbound(self, inbound: "Inbound") -> None: ...

    def note_refusal(self, peer: NodeId, refusal: str) -> bool:
        """Whether a hello in the name of `peer` was not refused like this the last time. refusal "": it is welcome."""

    def on_welcomed(self, peer: NodeId) -> None:
        """It has dialled, and was not refused."""

    def on_messages(self, sender: NodeId, messages: list[Message], size: int) -> None: ...

    def on_inbound_closed(
        self, inbound: "Inbound", sender: NodeId | None, *, by_peer: bool
    ) -> None: ...


class Inbound(asyncio.Protocol):
    """An accepted connection: judges the hello, then only receives."""

    def __init__(self, owner: InboundOwner, known: frozenset[NodeId]) -> None:
        self._owner = owner
        self._known = known
        self._hello_reader: HelloReader | None = HelloReader()
        self._frames = FrameDecoder()
        self._hello: Hello | None = None
        self._transport: asyncio.Transport | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._is_closed_here = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        self._owner.on_inbound(self)
        if are_scarce(transport):
            self.close()
            return
        _tune(transport)
        self._timeout = asyncio.get_running_loop().call_later(HANDSHAKE_TIMEOUT_S, self.close)

    def data_received(self, data: bytes) -> None:
        try:
            if self._hello_reader is not None:
                self._greet(self._hello_reader, data)
            elif self._hello is not None and not self._is_closed_here:
                messages = [decode(kind, payload) for kind, payload in self._frames.feed(data)]
                if messages or data:
                    self._owner.on_messages(self._hello.sender, messages, len(data))
        except PeerProtocolError as error:
            self._owner.complaints.warn(
                "peer connection ended", reason=str(error), peer=self._peer_name()
            )
            if self._hello_reader is not None and data.startswith(PREFACE):
                self._turn_away()
            else:
                self.close()

    def _turn_away(self) -> None:
        """Tell a client that has dialled the wrong port, in what it speaks."""
        assert self._transport is not None
        self._is_closed_here = True
        goaway = frames.goaway(0, ErrorCode.PROTOCOL_ERROR, WRONG_PORT)
        self._transport.write(frames.settings({}) + goaway)
        self._transport.close()

    def _greet(self, reader: HelloReader, data: bytes) -> None:
        hello = reader.feed(data)
        if hello is None:
            return
        self._hello_reader = None
        assert self._timeout is not None
        assert self._transport is not None
        self._timeout.cancel()
        answer = judge(hello, self._owner.cluster_id, self._owner.node_id, self._known)
        if not isinstance(answer, Refused):
            try:
                if not self._owner.meet(hello.sender, hello.life):
                    answer = refused_for_its_life(hello.sender)
            except OSError as error:
                answer = Refused(f"that it was met cannot be written down here: {error}")
        self._transport.write(encode_answer(answer))
        refusal = answer.reason if isinstance(answer, Refused) else ""
        is_news = self._owner.note_refusal(hello.sender, refusal)
        if refusal:
            if is_news:  # said once, not at each attempt
                log.warning("refused a peer", reason=refusal, peer=self._peer_name())
            self._is_closed_here = True
            self._transport.close()
        else:
            self._hello = hello
            self._owner.on_welcomed(hello.sender)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
        hello = self._hello
        is_messages = hello is not None and hello.stream is Stream.MESSAGES
        by_peer = not self._is_closed_here and not isinstance(exc, TimeoutError)
        self._owner.on_inbound_closed(
            self, hello.sender if hello is not None and is_messages else None, by_peer=by_peer
        )

    def _peer_name(self) -> str:
        if self._hello is not None:
            return f"{self._hello.sender:x}"
        address = self._transport.get_extra_info("peername") if self._transport else None
        return f"{address[0]}:{address[1]}" if address else "unknown"

    def close(self) -> None:
        """End it from this side."""
        self._is_closed_here = True
        if self._transport is not None:
            self._transport.abort()
