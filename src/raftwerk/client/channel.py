"""One connection to one endpoint, made when it is needed and made again when it was lost."""

import asyncio
from typing import cast

from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.grpc import UNAVAILABLE
from raftwerk.http2.limits import Limits
from raftwerk.runtime.settings import Address

CONNECT_TIMEOUT_S = 2.0
LIMITS = Limits(message_bytes_max=2**31 - 1)


class _Protocol(asyncio.Protocol):
    def __init__(self, authority: str) -> None:
        self.engine = ClientConnection(authority, LIMITS)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.engine.receive(data)
        self.flush()

    def flush(self) -> None:
        if self._transport is not None and self.engine.has_output:
            self._transport.write(self.engine.take_output())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.engine.lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Channel:
    """Calls to one endpoint."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._protocol: _Protocol | None = None
        self._lock = asyncio.Lock()

    async def call(self, path: str, message: bytes) -> Answer:
        """One unary call, on the connection that `connect` made."""
        protocol = self._protocol
        if protocol is None or not protocol.engine.can_call:
            return Answer(UNAVAILABLE, "connection lost")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def settle(result: Answer) -> None:
            if not answer.done():
                answer.set_result(result)

        call = protocol.engine.call(path, message, settle)
        protocol.flush()
        try:
            return await answer
        except asyncio.CancelledError:
            call.cancel()
            protocol.flush()
            raise

    async def connect(self) -> None:
        """Have a connection. Raises OSError or TimeoutError when there is none to be had; nothing was sent then."""
        async with self._lock:
            protocol = self._protocol
            if protocol is None or not protocol.engine.can_call:
                host, port = self.address
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    _, protocol = await asyncio.get_running_loop().create_connection(
                        lambda: _Protocol(f"{host}:{port}"), host, port
                    )
                self._protocol = protocol

    def unreachable_text(self, error: Exception) -> str:
        """What to tell a person."""
        host, port = self.address
        return f"{host}:{port} cannot be reached: {str(error) or 'no answer'}"

    def close(self) -> None:
        if self._protocol is not None:
            self._protocol.close()
