"""A gRPC connection on asyncio: a socket around http2.ServerConnection.

Output is written once for all that was answered in a turn of the loop. While the socket does not take it, the engine's
windows and limits hold the client back.
"""

import asyncio
from typing import Final, Protocol, cast

from raftwerk.http2.server import Limits, Methods, ServerConnection

WRITE_BUFFER_MAX: Final = 64 * 1024 * 1024
"""Not yet taken by the kernel: a client that sends requests and does not read the answers is cut off."""
KEEPALIVE_S: Final = 30.0
"""A connection that was silent for so long is asked whether it lives, and closed if it does not answer in time."""


class Owner(Protocol):
    """Whom connections report to."""

    def on_opened(self, connection: "GrpcProtocol") -> None: ...

    def on_closed(self, connection: "GrpcProtocol") -> None: ...

    def on_bytes(self, received: int, sent: int) -> None: ...


class GrpcProtocol(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self, owner: Owner, methods: Methods, limits: Limits, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._engine = ServerConnection(methods, limits, self._on_change)
        self._transport: asyncio.Transport | None = None
        self._is_flush_due = False
        self._heard_at = loop.time()
        self._keepalive: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1024 * 1024)
        self._owner.on_opened(self)
        self._keepalive = self._loop.call_later(KEEPALIVE_S, self._check_alive)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._engine.receive(data)
        self._owner.on_bytes(len(data), 0)
        self._flush()

    def _on_change(self) -> None:
        """A call was answered outside of data_received."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        transport = self._transport
        if transport is None:
            return
        if self._engine.has_output:
            data = self._engine.take_output()
            self._owner.on_bytes(0, len(data))
            transport.write(data)
        if self._engine.is_closed:
            transport.close()
        elif transport.get_write_buffer_size() > WRITE_BUFFER_MAX:
            transport.abort()

    def _check_alive(self) -> None:
        silent_s = self._loop.time() - self._heard_at
        if silent_s >= 2 * KEEPALIVE_S:
            self.abort()
            return
        if silent_s >= KEEPALIVE_S:
            self._engine.ping()
            self._flush()
        self._keepalive = self._loop.call_later(KEEPALIVE_S, self._check_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._engine.lost()
        self._owner.on_closed(self)

    @property
    def has_calls(self) -> bool:
        return bool(self._engine.streams)

    def drain(self) -> None:
        """Let open calls end; take no new ones."""
        self._engine.drain()
        self._flush()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
