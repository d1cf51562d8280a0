"""Listening, for clients and for peers, and whether it is possible: that can be known before there is a data folder."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from raftwerk.errors import UsageError
from raftwerk.runtime.settings import Address, Settings

BACKLOG: Final = 1024
"""Connections that wait to be accepted."""


async def listen(
    whom: str,
    addresses: Iterable[Address],
    protocol: Callable[[], asyncio.BaseProtocol],
    tls: ssl.SSLContext | None = None,
) -> list[asyncio.Server]:
    """Accept connections on all addresses. whom: client or peer. tls: for the addresses that have https.

    Raises UsageError when one cannot be bound; nothing listens then.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    for address in addresses:
        try:
            server = await loop.create_server(
                protocol,
                address.host,
                address.port,
                backlog=BACKLOG,
                ssl=tls if address.is_tls else None,
            )
        except OSError as error:
            close(servers)
            raise UsageError(
                f"cannot listen for {whom}s on {address}: {error.strerror or error}. Another process may use this port: "
                f"stop it, or choose another one with --listen-{whom}-urls."
            ) from error
        servers.append(server)
    return servers


def close(servers: list[asyncio.Server]) -> None:
    """Take no new connections."""
    while servers:
        servers.pop().close()


async def check_ports(settings: Settings) -> None:
    """Try all addresses of a member, for a moment. Raises UsageError when one cannot be bound."""
    servers = await listen("client", settings.listen_client, asyncio.Protocol)
    try:
        servers += await listen("peer", settings.listen_peer, asyncio.Protocol)
    finally:
        close(servers)
