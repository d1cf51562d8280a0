"""One HTTP/1.1 connection: uvicorn's protocol, and a limit on how long a request may take to come."""

import asyncio
from typing import Any, Final

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

REQUEST_S: Final = 30.0
"""The same request, or none, for two looks in such a distance: the connection is closed. Nobody holds one with half a
request, or with a byte now and then."""


class Http1Protocol(H11Protocol):
    """Answers that take long are no concern of this limit."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        request_s: float = REQUEST_S,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._request_s = request_s
        self._look: asyncio.TimerHandle | None = None
        self._seen: tuple[object, object] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look = self.loop.call_later(self._request_s, self._look_after)

    def _look_after(self) -> None:
        """A request that is coming is told by the answer before it, and by how far it has come."""
        coming = (self.cycle, self.conn.their_state)
        if coming == self._seen and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.abort()
            return
        self._seen = coming
        self._look = self.loop.call_later(self._request_s, self._look_after)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Another protocol takes over, with pings of its own."""
        if self._look is not None:
            self._look.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)
