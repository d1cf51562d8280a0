"""Listening, for clients and for peers, and whether it is possible: that can be known before there is a data folder."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from raftwerk.errors import UsageError
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.settings import Settings

BACKLOG: Final = 1024
"""Connections that wait to be accepted."""
HANDSHAKE_TIMEOUT_S: Final = 10.0
"""Of TLS: a connection that stalls before holds a descriptor no longer."""
KEEPALIVE_S: Final = 30
"""The kernel asks a silent client after so long whether it is there,"""
KEEPALIVE_INTERVAL_S: Final = 10
KEEPALIVE_COUNT: Final = 3
"""and takes so many questions without an answer for its end."""
_NAMES: Final = {"client": "clients", "peer": "peers", "metrics": "metrics"}


async def listen(
    whom: str,
    addresses: Iterable[Address],
    protocol: Callable[[], asyncio.BaseProtocol],
    tls: ssl.SSLContext | None = None,
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
) -> list[asyncio.Server]:
    """Accept connections on all addresses. whom: client, peer or metrics. tls: for the addresses that have https.

    Raises UsageError when one cannot be bound; nothing listens then.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    for address in addresses:
        context = tls if address.is_tls else None
        try:
            server = await loop.create_server(
                protocol,
                address.host,
                address.port,
                backlog=BACKLOG,
                ssl=context,
                ssl_handshake_timeout=handshake_timeout_s if context else None,
            )
        except OSError as error:
            close(servers)
            raise UsageError(
                f"cannot listen for {_NAMES[whom]} on {address}: {error.strerror or error}. Another process may use this port: "
                f"stop it, or choose another one with --listen-{whom}-urls."
            ) from error
        servers.append(server)
    return servers


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have a connection end when its client is gone without a word, also one that only waits."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def close(servers: list[asyncio.Server]) -> None:
    """Take no new connections."""
    while servers:
        servers.pop().close()


async def check_ports(settings: Settings) -> None:
    """Try all addresses of a member, for a moment. Raises UsageError when one cannot be bound."""
    servers = await listen("client", settings.listen_client, asyncio.Protocol)
    try:
        servers += await listen("metrics", settings.listen_metrics, asyncio.Protocol)
        servers += await listen("peer", settings.listen_peer, asyncio.Protocol)
    finally:
        close(servers)
