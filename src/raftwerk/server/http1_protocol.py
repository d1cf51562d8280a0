"""One HTTP/1.1 connection: uvicorn's protocols, limits on how long a request may take to come, and on what waits to be read."""

import asyncio
from typing import Any, Final

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState

from raftwerk.server.http1_transport import HOLD, OnWaiting, WatchedTransport

REQUEST_S: Final = 30.0
"""The same request, or none, for two looks in such a distance: the connection is closed. Nobody holds one with half a
request, or with a byte now and then."""


class Http1Protocol(H11Protocol):
    """Answers that take long are no concern of the limit on requests."""

    transport: WatchedTransport

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        on_waiting: OnWaiting,
        request_s: float = REQUEST_S,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._on_waiting = on_waiting
        self._request_s = request_s
        self._behind_bytes = 0
        """That came with, or behind, the request that is answered now: the next ones, which have to wait."""
        self._behind_bytes_max = config.ws_max_size
        """More, and the connection is cut off: as much as a message of a WebSocket may have."""
        self._look: asyncio.TimerHandle | None = None
        self._seen: tuple[object, object] | None = None

    def connection_made(self, transport: Any) -> None:
        watched = WatchedTransport(transport, self.loop, self._on_waiting)
        self.app_state = {HOLD: watched.hold}
        super().connection_made(watched)
        self._look = self.loop.call_later(self._request_s, self._look_after)

    def data_received(self, data: bytes) -> None:
        """Go on to read behind a request that has no answer yet, or nobody would notice that its client has gone."""
        super().data_received(data)
        if self.conn.their_state is h11.DONE:
            self._behind_bytes += len(data)
            if self._behind_bytes > self._behind_bytes_max:
                self.transport.abort()
            else:
                self.flow.resume_reading()

    def on_response_complete(self) -> None:
        self._behind_bytes = 0
        super().on_response_complete()

    def _look_after(self) -> None:
        """A request that is coming is told by the answer before it, and by how far it has come."""
        coming = (self.cycle, self.conn.their_state)
        if coming == self._seen and self._is_expected:
            self.transport.abort()
            return
        self._seen = coming
        self._look = self.loop.call_later(self._request_s, self._look_after)

    @property
    def _is_expected(self) -> bool:
        """Whether it is the client's turn. The body of a stream goes on for as long as its answer does."""
        if self.conn.their_state is h11.SEND_BODY:
            return not self.cycle.response_started or self.cycle.response_complete
        return self.conn.their_state is h11.IDLE

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Another protocol takes over, with pings of its own."""
        if self._look is not None:
            self._look.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)
        self.transport.lost()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.transport.tell_waiting()


class WebSocketProtocol(WSProtocol):
    """The same connection after an upgrade."""

    transport: WatchedTransport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.transport.lost()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.transport.tell_waiting()
