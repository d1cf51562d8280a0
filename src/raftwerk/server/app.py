"""The client port: listens, sniffs, and hands each connection to gRPC or to HTTP/1.1.

server = Server(node)
await server.start()
await server.stop()
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, cast

from raftwerk.http2.frames import PREFACE
from raftwerk.http2.server import Limits
from raftwerk.runtime import listening
from raftwerk.runtime.background import BackgroundThread
from raftwerk.runtime.complaints import Complaints
from raftwerk.runtime.descriptors import TOO_MANY, are_scarce
from raftwerk.runtime.tls_setup import client_port
from raftwerk.server.alarms import Alarms
from raftwerk.server.auth_guard import Guard
from raftwerk.server.auth_jwt import signed_tokens
from raftwerk.server.auth_passwords import Passwords
from raftwerk.server.auth_service import AuthService
from raftwerk.server.backlog import Backlog, Holder
from raftwerk.server.cluster_services import ClusterServices
from raftwerk.server.contest import Contests
from raftwerk.server.election_service import ElectionService
from raftwerk.server.gateway import Gateway
from raftwerk.server.grpc_shell import GrpcProtocol
from raftwerk.server.health import Health
from raftwerk.server.http1 import Http1, Pages
from raftwerk.server.http1_access import Access
from raftwerk.server.intake import Intake
from raftwerk.server.kv_service import KvService
from raftwerk.server.lease_service import LeaseService
from raftwerk.server.lock_service import LockService
from raftwerk.server.maintenance_check import CorruptionCheck
from raftwerk.server.maintenance_compaction import AutoCompaction
from raftwerk.server.maintenance_service import MaintenanceService
from raftwerk.server.methods import MethodTable
from raftwerk.server.metrics import MetricsPage, Traffic
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices
from raftwerk.server.watch_service import WatchService

SNIFF_BYTES: Final = 4
"""Of the preface: the method PRI is HTTP/2's alone (RFC 9113, section 3.4)."""
SNIFF_TIMEOUT_S: Final = 10.0
"""A connection that has not said what it speaks by then is closed."""
TLS_RECORD: Final = b"\x16\x03"
"""With which a TLS client begins."""
DRAIN_S: Final = 1.0
"""For open calls to end by themselves."""
SETTLE_S: Final = 0.2
"""For the node's last answers to leave. Streams that go on get none."""
GRPC_OVERHEAD_BYTES: Final = 512 * 1024
"""A received message may be larger than the request it carries by so much (etcd's allowance)."""


class Server:
    """See the module's text. Raises UsageError from start when an address cannot be bound."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._traffic = Traffic()
        self._connections: set[GrpcProtocol] = set()
        self._backlog = Backlog()
        self._intake = Intake(self._loop)
        self._servers: list[asyncio.Server] = []
        self._complaints = Complaints()
        slices = Slices(self._loop)
        alarms = Alarms(node, self._loop)
        kv = KvService(node, self._loop, slices, alarms.refuse_growth)
        cluster = ClusterServices(node, self._loop, slices, alarms.members)
        maintenance = MaintenanceService(node, self._loop, slices, alarms)
        health = Health(node, self._loop)
        self._lease = LeaseService(node, self._loop, slices, alarms.refuse_growth)
        self._watch = WatchService(node, self._loop, Slices(self._loop))
        self._traffic.watches = self._watch
        guard = Guard(node, self._loop)
        auth = self._auth_service()
        self._contests = Contests(node, self._loop, slices, self._watch.hub, alarms.refuse_growth)
        self._methods = MethodTable(
            kv.methods(),
            auth.methods(),
            guard.protect(cluster.methods()),
            guard.protect(maintenance.methods()),
            health.methods(),
            self._lease.methods(),
            LockService(self._contests).methods(),
            ElectionService(self._contests).methods(),
            self._watch.methods(),
        )
        check = CorruptionCheck(node, self._loop, alarms, node.settings.corrupt_check_s)
        self._chores = (alarms, check, AutoCompaction(node, self._loop), auth)
        """What is done from time to time."""
        settings = node.settings
        self._limits = Limits(
            message_bytes_max=settings.max_request_bytes + GRPC_OVERHEAD_BYTES,
            ping_interval_s_min=settings.grpc_keepalive_min_time_s,
            keepalive_interval_s=settings.grpc_keepalive_interval_s,
            keepalive_timeout_s=settings.grpc_keepalive_timeout_s,
        )
        pages = Pages(node, MetricsPage(node, self._traffic, self._methods.by_path), alarms.names)
        gateway = Gateway(self._methods, self._limits, settings.max_txn_ops)
        access = Access(pages.application(gateway), settings.cors, settings.host_whitelist)
        bytes_max = 2 * self._limits.message_bytes_max
        self._http1 = Http1(access, bytes_max, self.on_waiting)
        self._metrics = Http1(pages.application(), bytes_max, self.on_waiting)

    def _auth_service(self) -> AuthService:
        settings = self._node.settings
        passwords = Passwords(
            settings.bcrypt_cost,
            lambda: BackgroundThread("passwords", self._loop, self._on_failed),
        )
        tokens = signed_tokens(settings.auth_token, settings.auth_token_ttl_s, time.time)
        self._node.machine.auth.tokens.ttl_s = settings.auth_token_ttl_s
        return AuthService(self._node, self._loop, passwords, tokens)

    def _on_failed(self, error: Exception) -> None:
        self._loop.call_exception_handler(
            {"message": "a callback of the password thread failed", "exception": error}
        )

    async def start(self) -> None:
        """Listen for clients."""
        settings = self._node.settings
        tls = client_port(settings)
        self._servers = await listening.listen(
            "client", settings.listen_client, lambda: Sniffer(self, self.choose), tls
        )
        self._servers += await listening.listen(
            "metrics", settings.listen_metrics, lambda: Sniffer(self, self.choose_metrics), tls
        )
        for chore in self._chores:
            chore.start()

    async def stop(self) -> None:
        """Take no new connections and calls, let open calls end for a moment, have the node answer the others, and close."""
        for chore in self._chores:
            chore.stop()
        for server in self._servers:
            server.close()
        self._watch.stop()
        self._contests.stop()
        self._lease.stop()
        for connection in list(self._connections):
            connection.drain()
        self._http1.stop()
        self._metrics.stop()
        await self._calls_to_end(DRAIN_S)
        self._node.give_up()
        await self._calls_to_end(SETTLE_S)
        for connection in list(self._connections):
            connection.abort()

    async def _calls_to_end(self, most_s: float) -> None:
        deadline = self._loop.time() + most_s
        while self._loop.time() < deadline and self._has_calls:
            await asyncio.sleep(0.01)

    @property
    def _has_calls(self) -> bool:
        return self._http1.has_calls or any(one.has_calls for one in self._connections)

    # For the connections

    def choose(self, is_http2: bool) -> asyncio.Protocol:
        """The protocol that goes on with a sniffed connection."""
        if is_http2:
            return GrpcProtocol(
                self, self._methods, self._limits, self._loop, self._intake, self._node.soon
            )
        return self._http1.protocol(self._loop)

    def choose_metrics(self, _: bool) -> asyncio.Protocol:
        """The same where there are metrics alone."""
        return self._metrics.protocol(self._loop)

    def on_opened(self, connection: GrpcProtocol) -> None:
        self._connections.add(connection)
        self._traffic.connections = len(self._connections)

    def on_closed(self, connection: GrpcProtocol) -> None:
        self._connections.discard(connection)
        self._backlog.tell(connection, 0)
        self._traffic.connections = len(self._connections)

    def on_refused(self) -> None:
        """A connection was closed for want of descriptors."""
        self._complaints.warn(TOO_MANY)

    def on_tls(self) -> None:
        """A client spoke TLS where it is not spoken."""
        self._complaints.warn("a client wants TLS on a port without it: see --listen-client-urls")

    def on_waiting(self, connection: Holder, waiting_bytes: int) -> None:
        if self._backlog.tell(connection, waiting_bytes):
            self._complaints.warn(
                "clients do not read their answers: the connection with most of them is closed"
            )

    def on_bytes(self, received: int, sent: int) -> None:
        self._traffic.received_bytes += received
        self._traffic.sent_bytes += sent


class Sniffer(asyncio.Protocol):
    """Looks at the first bytes: HTTP/2's preface, or HTTP/1.1."""

    def __init__(self, server: Server, choose: Callable[[bool], asyncio.Protocol]) -> None:
        """choose: whether it is HTTP/2 -> the protocol that goes on."""
        self._server = server
        self._choose = choose
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        if are_scarce(transport):
            self._server.on_refused()
            transport.abort()
            return
        listening.keep_alive(transport)
        self._transport = transport
        self._timeout = asyncio.get_running_loop().call_later(SNIFF_TIMEOUT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._data += data
        size = min(len(self._data), SNIFF_BYTES)
        is_http2 = self._data[:size] == PREFACE[:size]
        if is_http2 and size < SNIFF_BYTES:
            return  # it might still become something else
        if self._data.startswith(TLS_RECORD):
            self._server.on_tls()
        transport = self._transport
        assert self._timeout is not None
        self._timeout.cancel()
        protocol = self._choose(is_http2)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
