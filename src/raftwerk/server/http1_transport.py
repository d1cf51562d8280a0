"""What the client of an HTTP/1.1 connection has not read yet: told to the port that bounds it, and not kept for ever.

uvicorn's protocols write to this instead of to the socket. What they have not written yet, the gateway tells (`hold`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from raftwerk.server.backlog import Holder, Reading

PERIOD_S: Final = 30.0
"""A connection that took no byte of what waits for it for so long is closed."""
HOLD: Final = "hold"
"""In the state of an ASGI scope: WatchedTransport.hold."""

OnWaiting = Callable[[Holder, int], None]
"""Told of so many bytes that wait at a connection, whenever it changes."""


class WatchedTransport(asyncio.Transport):
    """A connection's transport, under watch until `lost`."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        on_waiting: OnWaiting,
        period_s: float = PERIOD_S,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._on_waiting = on_waiting
        self._period_s = period_s
        self._reading = Reading()
        self._written_bytes = 0
        self._held_bytes = 0
        self._told_bytes = 0
        self._is_lost = False
        self._period = loop.call_later(period_s, self._end_period)

    def write(self, data: Any) -> None:
        self._written_bytes += len(data)
        self._transport.write(data)
        self.tell_waiting()

    def hold(self, held_bytes: int) -> None:
        """So much is kept to be written later."""
        self._held_bytes = held_bytes
        self.tell_waiting()

    def tell_waiting(self) -> None:
        """The socket has taken something, or has got it."""
        waiting_bytes = self._held_bytes + self._transport.get_write_buffer_size()
        if waiting_bytes != self._told_bytes and not self._is_lost:
            self._told_bytes = waiting_bytes
            self._on_waiting(self, waiting_bytes)

    def _end_period(self) -> None:
        if self._reading.has_stalled(self._written_bytes, self._transport.get_write_buffer_size()):
            self.abort()
            return
        self.tell_waiting()
        self._period = self._loop.call_later(self._period_s, self._end_period)

    def lost(self) -> None:
        """The connection is no more."""
        self._period.cancel()
        self._is_lost = True
        self._on_waiting(self, 0)

    # As it is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
