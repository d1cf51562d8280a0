"""Connections between peers, over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
import uvloop

from raftwerk.http2.client import ClientConnection
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.limits import Limits
from raftwerk.raft.messages import Message
from raftwerk.raft.types import NodeId
from raftwerk.runtime.complaints import Complaints
from raftwerk.runtime.connection import WRONG_PORT, Inbound, Outbound
from raftwerk.wire.frame import encode_frame
from raftwerk.wire.handshake import AnswerReader, Refused, Stream, Welcome, encode_hello

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_write_after_the_peer_closed_is_dropped(loop: Loop) -> None:
    """The core may send between the end of a connection and its owner's hearing of it: a lost message, no failure."""

    async def main() -> None:
        listener = await asyncio.start_server(
            lambda _, writer: writer.transport.abort(), "127.0.0.1", 0
        )
        port = listener.sockets[0].getsockname()[1]
        outbound = Outbound(cluster_id=1, node_id=1, peer=2, stream=Stream.MESSAGES)
        async with asyncio.timeout(10), listener:
            await asyncio.get_running_loop().create_connection(lambda: outbound, "127.0.0.1", port)
            assert await outbound.closed
            await asyncio.sleep(0)  # the loop gives the socket back
            outbound.write(b"too late")
            assert outbound.buffered_bytes == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


class Transport(asyncio.Transport):
    """Of a socket that the test can close behind its back."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})

    def write(self, data: object) -> None: ...


def test_round_trip_of_a_socket_that_is_gone_is_not_told() -> None:
    """The node looks from time to time, maybe between the end of a connection and its owner's hearing of it."""

    async def main() -> None:
        outbound = Outbound(cluster_id=1, node_id=1, peer=2, stream=Stream.MESSAGES)
        with socket.create_server(("127.0.0.1", 0)) as server:
            sock = socket.create_connection(server.getsockname())
            outbound.connection_made(Transport(sock))
            assert outbound.round_trip_s > 0
            sock.close()
            assert outbound.round_trip_s == 0.0

    asyncio.run(main())


ANOTHER_LIFE, FULL_DISK = 0xB, 0xC


class Owner:
    """Records what inbound connections report."""

    cluster_id, node_id = 7, 1

    def __init__(self) -> None:
        self.received: list[tuple[NodeId, list[Message]]] = []
        self.closed: list[tuple[NodeId | None, bool]] = []
        self.judged: list[tuple[NodeId, str]] = []
        self.welcomed: list[NodeId] = []
        self.complaints = Complaints()

    def meet(self, peer: NodeId, life: int) -> bool:
        if life == FULL_DISK:
            raise OSError("no space")
        return life != ANOTHER_LIFE

    def on_inbound(self, inbound: Inbound) -> None: ...

    def note_refusal(self, peer: NodeId, refusal: str) -> bool:
        self.judged.append((peer, refusal))
        return bool(refusal)

    def on_welcomed(self, peer: NodeId) -> None:
        self.welcomed.append(peer)

    def on_messages(self, sender: NodeId, messages: list[Message], size: int) -> None:
        self.received.append((sender, messages))

    def on_inbound_closed(self, inbound: Inbound, sender: NodeId | None, *, by_peer: bool) -> None:
        self.closed.append((sender, by_peer))


def say_to_inbound(*said: bytes) -> tuple[Owner, bytes]:
    """Say one after the other, each once the one before was answered or nothing comes; returns all that came back."""

    async def main() -> tuple[Owner, bytes]:
        owner = Owner()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Inbound(owner, frozenset((2,))), "127.0.0.1", 0)
        async with asyncio.timeout(10), listener:
            port = listener.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            heard = b""
            for number, data in enumerate(said):
                writer.write(data)
                if number < len(said) - 1:
                    heard += await reader.read(1_000)
            with contextlib.suppress(ConnectionError):
                heard += await reader.read()
            writer.close()
            while not owner.closed:
                await asyncio.sleep(0)
        return owner, heard

    return asyncio.run(main())


HELLO = encode_hello(7, 2, 1, Stream.MESSAGES)


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + bytes(200),
        b"PRI * HTTP/1.0\r\n\r\n",
        b"\0" * 100,
        HELLO[:20] + bytes(100),
        HELLO[:-1] + b"\xff",
    ],
    ids=["HTTP/1.1", "TLS", "HTTP/1.0", "zeros", "broken hello", "checksum"],
)
def test_noise_instead_of_a_hello_ends_the_connection(noise: bytes) -> None:
    """Nobody hears of it, and no answer is given to what is no peer."""
    owner, heard = say_to_inbound(noise)
    assert heard == b""
    assert (owner.received, owner.closed) == ([], [(None, False)])


def test_client_is_told_that_this_is_the_port_for_peers() -> None:
    client = ClientConnection("localhost", Limits())
    owner, heard = say_to_inbound(client.take_output())
    client.receive(heard)
    assert client.peer_goaway == (0, ErrorCode.PROTOCOL_ERROR, WRONG_PORT.encode())
    assert (owner.received, owner.closed) == ([], [(None, False)])


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff" * 20,
        encode_frame(0, b""),
        encode_frame(250, b"junk"),
        *[encode_frame(kind, payload) for kind in range(1, 20) for payload in (b"", b"junk")],
        encode_frame(1, b"12345")[:-1] + b"6",
    ],
)
def test_noise_after_the_welcome_ends_the_connection(noise: bytes) -> None:
    """From this side: the sender is not taken for dead."""
    owner, heard = say_to_inbound(HELLO, noise)
    assert isinstance(AnswerReader().feed(heard), Welcome)
    assert (owner.welcomed, owner.received, owner.closed) == ([2], [], [(2, False)])


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (encode_hello(8, 2, 1, Stream.MESSAGES), "cluster ID mismatch"),
        (encode_hello(7, 2, 3, Stream.MESSAGES), "wanted to talk to member"),
        (encode_hello(7, 5, 1, Stream.MESSAGES), "is not known here"),
    ],
    ids=["cluster", "receiver", "sender"],
)
def test_peer_that_does_not_belong_here_is_told_why(hello: bytes, reason: str) -> None:
    owner, heard = say_to_inbound(hello)
    answer = AnswerReader().feed(heard)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
    assert owner.closed == [(None, False)]
    assert [refusal for _, refusal in owner.judged] == [answer.reason]
    assert owner.welcomed == []


@pytest.mark.parametrize(
    ("life", "reason", "has_forgotten"),
    [
        (ANOTHER_LIFE, "it has forgotten its votes", True),
        (FULL_DISK, "cannot be written down here: no space", False),
    ],
    ids=["another life", "not remembered"],
)
def test_peer_is_welcome_only_with_a_life_that_is_remembered(
    life: int, reason: str, has_forgotten: bool
) -> None:
    owner, heard = say_to_inbound(encode_hello(7, 2, 1, Stream.MESSAGES, life))
    answer = AnswerReader().feed(heard)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
    assert answer.has_forgotten == has_forgotten
    assert owner.closed == [(None, False)]
