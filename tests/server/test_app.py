"""The client port on real sockets: gRPC and HTTP/1.1 on one port, a node in memory behind it."""

import asyncio
import socket
from dataclasses import replace
from typing import cast

import pytest
from structlog.testing import capture_logs

from raftwerk.api import status
from raftwerk.api.rpc_pb2 import PutResponse
from raftwerk.errors import UsageError
from raftwerk.http2.frames import PREFACE
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.settings import Settings
from raftwerk.server.app import Server, Sniffer
from raftwerk.server.backlog import BYTES_MAX
from raftwerk.server.grpc_shell import GrpcProtocol
from raftwerk.server.http1_protocol import Http1Protocol, WebSocketProtocol
from tests.server.fakes import FakeTransport
from tests.server.port_rig import PUT, REQUEST, GrpcConnection, Port, free_port, serve


def test_grpc_is_served() -> None:
    async def test(port: Port) -> None:
        connection = await GrpcConnection.open(port)
        answer = await connection.call(PUT, REQUEST)
        assert PutResponse.FromString(answer.message).header.revision == 3

    serve(test)


def test_http1_is_served_on_the_same_port() -> None:
    async def test(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'{"health":"true","reason":""}')

    serve(test)


def test_metrics_have_an_address_of_their_own() -> None:
    """Where there are pages alone."""
    address = Address("127.0.0.1", free_port())

    async def get(path: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.split(b"\r\n", 1)[0]

    async def test(port: Port) -> None:
        for path in (b"/health", b"/livez", b"/readyz", b"/metrics"):
            assert await get(path) == b"HTTP/1.1 200 OK"
        assert await get(b"/v3/kv/range") == b"HTTP/1.1 404 Not Found"

    serve(test, Settings(listen_metrics=(address,)))


def test_hosts_and_origins_are_settings() -> None:
    async def test(port: Port) -> None:
        for host, code in ((b"localhost", b"200"), (b"evil", b"421")):
            reader, writer = await port.connect()
            head = b"GET /health HTTP/1.1\r\nOrigin: http://b\r\nConnection: close\r\n"
            writer.write(head + b"Host: %s\r\n\r\n" % host)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 " + code)
            assert b"access-control" not in answer

    serve(test, Settings(host_whitelist=("localhost",), cors=("http://a",)))


POST = b"POST /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "protocol"),
    [
        ([PREFACE], GrpcProtocol),
        ([PREFACE[:4], PREFACE[4:]], GrpcProtocol),
        ([PREFACE[:1], PREFACE[1:2], PREFACE[2:]], GrpcProtocol),
        ([PREFACE[:4], b"/ HTTP/1.1\r\n\r\n"], GrpcProtocol),
        ([POST], Http1Protocol),
        ([POST[:1], POST[1:]], Http1Protocol),
        ([b"PR", b"OPFIND / HTTP/1.1\r\nHost: localhost\r\n\r\n"], Http1Protocol),
        ([b"\x16\x03\x01"], Http1Protocol),
    ],
    ids=["h2", "h2_in_two", "h2_byte_by_byte", "PRI", "http1", "http1_in_two", "like_h2", "tls"],
)
def test_first_bytes_tell_the_protocol(pieces: list[bytes], protocol: type) -> None:
    """However they are cut: "P" alone says nothing yet. What neither knows is HTTP/1.1's to refuse."""

    async def test(port: Port) -> None:
        transport = FakeTransport()
        sniffer = Sniffer(port.server, port.server.choose)
        sniffer.connection_made(transport)
        for piece in pieces:
            (transport.protocol or sniffer).data_received(piece)
        assert type(transport.protocol) is protocol
        transport.protocol.connection_lost(None)

    serve(test)


class Unread:
    """As much of a connection as the bound on what waits looks at."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_client_that_wants_tls_is_told_of_once_in_a_while() -> None:
    async def test(port: Port) -> None:
        with capture_logs() as logs:
            for data in (b"\x16\x03\x01\x02\x00", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"):
                sniffer = Sniffer(port.server, port.server.choose)
                transport = FakeTransport()
                sniffer.connection_made(transport)
                sniffer.data_received(data)
                transport.protocol.connection_lost(None)
        assert [log["event"] for log in logs if "TLS" in log["event"]] == [
            "a client wants TLS on a port without it: see --listen-client-urls"
        ]

    serve(test)


def test_what_clients_do_not_read_is_bounded_over_all_connections() -> None:
    """What a lost connection held counts no more."""

    async def test(port: Port) -> None:
        lost, large, last = (Unread() for _ in range(3))
        for one, waiting_bytes in ((lost, BYTES_MAX), (lost, 0), (large, BYTES_MAX), (last, 1)):
            if waiting_bytes:
                port.server.on_waiting(cast("GrpcProtocol", one), waiting_bytes)
            else:
                port.server.on_closed(cast("GrpcProtocol", one))
        assert [one.is_aborted for one in (lost, large, last)] == [False, True, False]

    serve(test)


RANGE = b"POST /v3/kv/range HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"


def test_what_http1_clients_do_not_read_counts_too() -> None:
    async def test(port: Port) -> None:
        transport = FakeTransport()
        transport.waiting_bytes = 1  # it takes nothing
        sniffer = Sniffer(port.server, port.server.choose)
        sniffer.connection_made(transport)
        body = b'{"key":"ZmlsbGVy"}'
        sniffer.data_received(RANGE % (len(body), body))
        while b'"count":"1"' not in b"".join(transport.writes):
            await asyncio.sleep(0)
        assert port.server._backlog.total_bytes >= transport.waiting_bytes > 100
        transport.protocol.connection_lost(None)
        assert port.server._backlog.total_bytes == 0

    serve(test)


UPGRADE = (
    b"GET /v3/watch HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_what_clients_of_a_websocket_do_not_read_counts_too() -> None:
    async def test(port: Port) -> None:
        transport = FakeTransport()
        transport.waiting_bytes = 1
        sniffer = Sniffer(port.server, port.server.choose)
        sniffer.connection_made(transport)
        sniffer.data_received(UPGRADE)
        while not transport.writes:
            await asyncio.sleep(0)
        assert isinstance(transport.protocol, WebSocketProtocol)
        assert port.server._backlog.total_bytes == transport.waiting_bytes
        transport.waiting_bytes = 7
        transport.protocol.resume_writing()
        assert port.server._backlog.total_bytes == 7
        transport.protocol.connection_lost(None)
        assert port.server._backlog.total_bytes == 0

    serve(test)


def test_kernel_asks_silent_clients_whether_they_are_there() -> None:
    async def test(port: Port) -> None:
        with socket.socket() as sock:
            Sniffer(port.server, port.server.choose).connection_made(FakeTransport(socket=sock))
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    serve(test)


def test_taken_port_is_named() -> None:
    async def test(port: Port) -> None:
        other = Server(port.node)
        with pytest.raises(
            UsageError, match=f"cannot listen for clients on 127.0.0.1:{port.number}"
        ):
            await other.start()

    serve(test)


async def waiting_put(port: Port) -> GrpcConnection:
    """A put that the node has, and keeps waiting."""
    port.node.is_stuck = True
    connection = await GrpcConnection.open(port)
    connection.start(PUT, REQUEST)
    while not port.node.commands:
        await asyncio.sleep(0)
    return connection


def test_open_call_ends_before_the_server_stops() -> None:
    async def test(port: Port) -> None:
        connection = await waiting_put(port)
        stopping = asyncio.ensure_future(port.server.stop())
        await asyncio.sleep(0)
        port.node.release()
        assert (await connection.answer()).status == status.OK
        assert not connection.engine.can_call  # it was told to make no further calls here
        await stopping
        assert await connection.reader.read() == b""

    serve(test)


def test_who_still_waits_is_told_that_the_server_stops() -> None:
    async def test(port: Port) -> None:
        connection = await waiting_put(port)
        await port.server.stop()
        assert (await connection.answer())[:2] == status.STOPPED

    serve(test)


def test_the_node_says_when_answers_are_written() -> None:
    async def test(port: Port) -> None:
        connection = await waiting_put(port)
        port.node.release()
        assert port.node.soon_count == 1
        assert (await connection.answer()).status == status.OK

    serve(test)


def test_stopped_server_takes_no_connection() -> None:
    async def test(port: Port) -> None:
        await port.server.stop()
        with pytest.raises(OSError):
            await port.connect()

    serve(test)


def test_store_over_its_quota_takes_no_put() -> None:
    async def test(port: Port) -> None:
        connection = await GrpcConnection.open(port)
        assert (await connection.call(PUT, REQUEST))[:2] == status.NO_SPACE

    serve(test, replace(Settings(), quota_backend_bytes=1))


def test_quota_below_zero_is_none() -> None:
    async def test(port: Port) -> None:
        connection = await GrpcConnection.open(port)
        assert (await connection.call(PUT, REQUEST)).status == status.OK

    serve(test, replace(Settings(), quota_backend_bytes=-1))


def test_traffic_is_counted() -> None:
    async def test(port: Port) -> None:
        connection = await GrpcConnection.open(port)
        await connection.call(PUT, REQUEST)
        reader, writer = await port.connect()
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        lines = (await reader.read()).decode().splitlines()
        values = dict(
            line.rsplit(" ", 1) for line in lines if line.startswith(("etcd", "raftwerk"))
        )
        assert values["raftwerk_client_connections"] == "1.0"
        assert float(values["etcd_network_client_grpc_received_bytes_total"]) > len(REQUEST)
        assert float(values["etcd_network_client_grpc_sent_bytes_total"]) > 0

    serve(test)
