"""A real node and clients, scanners and peers that speak nonsense, too much, or not at all.

Each such connection ends, with the right error where there is one to be had. Others are served meanwhile, the node goes
on, and its memory stays bounded.
"""

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

import pytest

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import LocalCluster, Member
from raftwerk.client import Client
from raftwerk.http2 import frames
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import frame, rst_stream, window_update
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from raftwerk.runtime import identifiers
from raftwerk.runtime.connection import WRONG_PORT
from raftwerk.runtime.descriptors import RESERVED
from raftwerk.runtime.settings import Settings
from raftwerk.wire.frame import encode_frame
from raftwerk.wire.handshake import MAGIC, AnswerReader, Refused, Stream, Welcome, encode_hello
from tests.conftest import StartCluster, running_cluster
from tests.crash.bad_peers import (
    MIB,
    check_serves,
    connect,
    connections,
    goaway_code,
    heard,
    limit_descriptors,
    memory_bytes,
    most_memory_bytes,
    open_descriptors,
    say_until_ended,
)
from tests.http2.talk import block, call_frames, data_frame, headers_frame, request_headers
from tests.waiting import until

HELLO = frames.PREFACE + frames.settings({})
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(192))
RANGE, PUT = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put"
PING = frame(frames.PING, 0, 0, bytes(8))
MEMORY_BYTES_MAX = 200 * MIB
"""More than before: no flood here may take it, but those for which a limit in http2/limits.py says so."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """One node for all that does it no harm."""
    with running_cluster(tmp_path_factory.mktemp("bad_network"), 1) as cluster:
        yield cluster.members[0]
    print(cluster.members[0].last_log_lines(20))


def over_and_over(head: bytes, data: bytes) -> Iterator[bytes]:
    """Until nobody takes it any more."""
    yield HELLO + head
    yield from itertools.repeat(data * 100)


def rapid_reset() -> Iterator[bytes]:
    yield HELLO
    for number in itertools.count(1, 2):
        ask = call_frames(number, RANGE, rpc_pb2.RangeRequest(key=b"k").SerializeToString())
        yield ask + rst_stream(number, ErrorCode.CANCEL)


def never_ending_messages() -> Iterator[bytes]:
    """Each stream begins a message of 1.5 MiB and sends all but its end."""
    yield HELLO
    piece = bytes(16_000)
    for number in itertools.count(1, 2):
        head = headers_frame(number, request_headers(PUT))
        begun = data_frame(number, b"\0" + (1_500_000).to_bytes(4, "big"))
        yield head + begun + data_frame(number, piece) * 30


BAD_CLIENTS: dict[str, tuple[Callable[[], Iterable[bytes]], ErrorCode]] = {
    "malformed preface": (
        lambda: [frames.PREFACE[:-2] + b"!!" + frames.settings({})],
        ErrorCode.PROTOCOL_ERROR,
    ),
    "no SETTINGS": (lambda: [frames.PREFACE + PING], ErrorCode.PROTOCOL_ERROR),
    "HTTP/1.1 after the preface": (
        lambda: [HELLO + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "noise after the preface": (lambda: [HELLO + b"\xff" * 1000], ErrorCode.FRAME_SIZE_ERROR),
    "DATA of nobody": (lambda: [HELLO + data_frame(1, b"x")], ErrorCode.PROTOCOL_ERROR),
    "broken header block": (
        lambda: [HELLO + frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff" * 5_000)],
        ErrorCode.COMPRESSION_ERROR,
    ),
    "window overflow": (
        lambda: [HELLO + window_update(0, 2**31 - 1)],
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "oversized headers": (
        lambda: [
            HELLO + frame(frames.HEADERS, 0, 1, block(request_headers())),
            *[frame(frames.CONTINUATION, 0, 1, literal(b"a", bytes(16_000)))] * 10,
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "headers that unpack to too much": (
        lambda: [
            HELLO
            + frame(
                frames.HEADERS,
                4,
                1,
                block(request_headers()) + b"\x40\x01a\x7f\x81\x0f" + b"v" * 2048,
            )
            + frame(frames.HEADERS, 4, 3, b"\xbe" * 10_000)
        ],
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "flood of PING": (lambda: over_and_over(b"", PING), ErrorCode.ENHANCE_YOUR_CALM),
    "flood of SETTINGS": (
        lambda: over_and_over(b"", frames.settings({})),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "flood of empty DATA": (
        lambda: over_and_over(headers_frame(1, request_headers(PUT)), data_frame(1, b"")),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "flood of CONTINUATION": (
        lambda: over_and_over(
            frame(frames.HEADERS, 0, 1, b""), frame(frames.CONTINUATION, 0, 1, b"")
        ),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "rapid reset": (rapid_reset, ErrorCode.ENHANCE_YOUR_CALM),
    "messages without an end": (never_ending_messages, ErrorCode.ENHANCE_YOUR_CALM),
}


@pytest.mark.parametrize(("said", "code"), BAD_CLIENTS.values(), ids=BAD_CLIENTS.keys())
def test_bad_client_is_told_and_cut_off(
    node: Member, said: Callable[[], Iterable[bytes]], code: ErrorCode
) -> None:
    before = memory_bytes(node)
    answer = say_until_ended(node.client_port, said())
    # A client that sends on while it is cut off may lose the answer with the connection
    assert goaway_code(answer) in ((code,) if code != ErrorCode.ENHANCE_YOUR_CALM else (code, None))
    assert memory_bytes(node) < before + MEMORY_BYTES_MAX
    check_serves(node)


@pytest.mark.parametrize(
    "said",
    [
        b"hello there\r\n\r\n",
        b"\0" * 100,
        TLS_HELLO,
        b"GET /\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 500_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=[
        "text",
        "zeros",
        "TLS",
        "version",
        "long path",
        "many headers",
        "two hosts",
        "two lengths",
    ],
)
def test_what_is_no_http_gets_a_400(node: Member, said: bytes) -> None:
    answer = say_until_ended(node.client_port, [said])
    assert answer.startswith(b"HTTP/1.1 400 ") or (len(said) > 60_000 and not answer)
    check_serves(node)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        TLS_HELLO,
        b"\0" * 1000,
        MAGIC[:-1] + b"!",
        MAGIC + struct.pack(">IIB", 2**31, 0, 100),
        MAGIC + struct.pack(">IIB", 5, 0, 100) + b"abcd",
        MAGIC + b"\0" * 100,
    ],
    ids=["HTTP/1.1", "TLS", "zeros", "magic", "length", "checksum", "zeros behind magic"],
)
def test_noise_on_the_peer_port_is_cut_off(node: Member, said: bytes) -> None:
    assert say_until_ended(node.peer_port, [said]) == b""
    check_serves(node)


def test_client_on_the_peer_port_is_told_so_and_cut_off(node: Member) -> None:
    assert say_until_ended(node.peer_port, [HELLO]).endswith(WRONG_PORT.encode())
    check_serves(node)


def ids_of(cluster: LocalCluster) -> tuple[int, list[int]]:
    """(cluster id, ids of the members in order)."""
    peers = {one.name: (f"http://127.0.0.1:{one.peer_port}",) for one in cluster.members}
    first = cluster.members[0].name
    settings = Settings(name=first, initial_cluster=peers, initial_advertise_peer_urls=peers[first])
    by_name = identifiers.node_ids(settings)
    return identifiers.cluster_id(settings), [by_name[one.name] for one in cluster.members]


def test_peer_that_does_not_belong_here_is_told_why(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)
    cluster_id, (first, second, _) = ids_of(cluster)
    port = cluster.members[0].peer_port
    refusals = {
        "cluster ID mismatch": encode_hello(cluster_id + 1, second, first, Stream.MESSAGES),
        "wanted to talk to member": encode_hello(cluster_id, second, second, Stream.MESSAGES),
        "is not known here": encode_hello(cluster_id, 12345, first, Stream.SNAPSHOT),
    }
    for reason, hello in refusals.items():
        answer = AnswerReader().feed(say_until_ended(port, [hello]))
        assert isinstance(answer, Refused)
        assert reason in answer.reason
    check_serves(cluster.members[0])


def test_peer_that_sends_noise_after_its_welcome_is_cut_off(start_cluster: StartCluster) -> None:
    """A member's own stream that is damaged: the connection ends, the cluster goes on."""
    cluster = start_cluster(3)
    cluster_id, (first, second, _) = ids_of(cluster)
    hello = encode_hello(cluster_id, second, first, Stream.MESSAGES)
    noises = [b"\xff" * 100, encode_frame(1, b"12345")[:-1] + b"6"]
    noises += [encode_frame(kind, payload) for kind in (0, 1, 5, 250) for payload in (b"", b"junk")]
    for noise in noises:
        with connect(cluster.members[0].peer_port) as sock:
            sock.sendall(hello)
            assert isinstance(AnswerReader().feed(sock.recv(MIB)), Welcome)
            sock.sendall(noise)
            assert heard(sock) == b""
    for member in cluster.members:
        check_serves(member)


def test_connections_that_stay_silent_end(node: Member) -> None:
    """On the client port after ten seconds, on the peer port after five, whatever part of a beginning was said."""
    half_a_hello = encode_hello(1, 2, 3, Stream.MESSAGES)[:-1]
    beginnings = [(node.client_port, one) for one in (b"", b"P", b"PRI")]
    beginnings += [(node.peer_port, one) for one in (b"", b"r", MAGIC, half_a_hello)]
    with ExitStack() as stack:
        socks = []
        for port, beginning in beginnings:
            socks.append(stack.enter_context(connect(port)))
            socks[-1].sendall(beginning)
        check_serves(node)
        assert [heard(sock) for sock in socks] == [b""] * len(socks)


def test_five_hundred_connections_are_served(node: Member) -> None:
    """Idle ones, silent ones, and halves of requests beside the others; all is given back afterwards."""
    before, memory = open_descriptors(node), memory_bytes(node)
    half = headers_frame(1, request_headers(PUT)) + data_frame(1, b"\0\0\0")
    beginnings = itertools.cycle([b"", b"PRI", HELLO, HELLO + half, b"GET / HTTP/1.1\r\n"])
    with connections(node.client_port, 500) as socks:
        for sock, beginning in zip(socks, beginnings, strict=False):
            sock.sendall(beginning)
        check_serves(node)
        assert open_descriptors(node) >= before + 400
        assert memory_bytes(node) < memory + 100 * MIB
    check_serves(node)
    while open_descriptors(node) > before + 20:
        check_serves(node, writes=1)


def test_connections_never_take_the_last_descriptors(start_cluster: StartCluster) -> None:
    """The log opens files while it works: it must not run out of descriptors for clients' sake."""
    member = start_cluster(1).members[0]
    limit = open_descriptors(member) + 120

    async def flood() -> None:
        async with Client([member.client_url]) as client:
            await client.put(b"before", b"")  # has its connection
            limit_descriptors(member, limit)
            with connections(member.client_port, 150), connections(member.peer_port, 150):
                while open_descriptors(member) < limit - RESERVED - 2:
                    await client.put(b"meanwhile", b"")
                for _ in range(200):
                    await client.put(b"meanwhile", b"")
                assert open_descriptors(member) < limit - RESERVED // 2

    asyncio.run(flood())
    until(lambda: not member.is_running or open_descriptors(member) <= limit - 100)
    check_serves(member)
    assert "too many connections" in member.log.read_text()


def ask_for_much(member: Member) -> bytes:
    """A request for four values of 1 MiB, which are there now."""

    async def write() -> None:
        async with Client([member.client_url]) as client:
            for number in range(4):
                await client.put(b"big/%d" % number, bytes(MIB))

    asyncio.run(write())
    query = rpc_pb2.RangeRequest(key=b"big/", range_end=b"big0", serializable=True)
    return query.SerializeToString()


def say_until_full(sock: socket.socket, said: Iterable[bytes]) -> None:
    """Until the other side takes no more."""
    for data in said:
        sock.sendall(data)


def test_client_that_never_reads_costs_bounded_memory(start_cluster: StartCluster) -> None:
    """With windows wide open: the socket is full, and nothing more is read from it. Others are served."""
    member = start_cluster(1).members[0]
    ask = ask_for_much(member)
    before = memory_bytes(member)
    wide = frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31 - 1})
    head = frames.PREFACE + wide + window_update(0, 2**31 - 1 - 65_535)
    asks = (call_frames(number, RANGE, ask) + PING * 200 for number in itertools.count(1, 2))
    with connect(member.client_port) as sock:
        sock.settimeout(2.0)
        with pytest.raises((TimeoutError, ConnectionError)):
            say_until_full(sock, itertools.chain([head], asks))
        check_serves(member)
    check_serves(member)
    assert most_memory_bytes(member) < before + 3 * Limits().buffered_bytes_max


def test_client_that_opens_no_window_is_cut_off(start_cluster: StartCluster) -> None:
    """It asks for more and more, and takes nothing: ENHANCE_YOUR_CALM, when too much waits."""
    member = start_cluster(1).members[0]
    ask = ask_for_much(member)
    before = memory_bytes(member)
    shut = frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    asks = (call_frames(number, RANGE, ask) for number in range(1, 401, 2))
    answer = say_until_ended(member.client_port, itertools.chain([shut], asks))
    assert goaway_code(answer) == ErrorCode.ENHANCE_YOUR_CALM
    check_serves(member)
    assert most_memory_bytes(member) < before + 2 * Limits().buffered_bytes_max
