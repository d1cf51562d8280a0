"""A gRPC connection on asyncio: a socket around http2.ServerConnection.

Output is written once for all that was answered in a step of the node, or in a turn of the loop. While the socket does not
take it, nothing more is read: a client that does not read its answers gets no further ones. Nor while there is more than a turn
has time for.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from raftwerk.http2.server import Limits, Methods, ServerConnection
from raftwerk.server.backlog import Reading
from raftwerk.server.intake import Intake

WRITE_HIGH_BYTES: Final = 1024 * 1024
"""Not yet taken by the kernel: beyond this, reading pauses."""
PIECE_BYTES: Final = 8 * 1024
"""Taken in without looking at the clock."""
PERIOD_S: Final = 30.0
"""A connection that took no byte of what waits for it for so long is closed. The engine's limits count per period too."""


class Owner(Protocol):
    """Whom connections report to."""

    def on_opened(self, connection: "GrpcProtocol") -> None: ...

    def on_closed(self, connection: "GrpcProtocol") -> None: ...

    def on_bytes(self, received: int, sent: int) -> None: ...

    def on_waiting(self, connection: "GrpcProtocol", waiting_bytes: int) -> None:
        """So much of its answers is not read yet: told when it changes."""


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """Whom a verified certificate names; "" without one. certificate: as the ssl module tells it."""
    subject = certificate.get("subject", ()) if certificate else ()
    names = [value for part in subject for kind, value in part if kind == "commonName"]
    return str(names[-1]) if names else ""


class GrpcProtocol(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        owner: Owner,
        methods: Methods,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        intake: Intake,
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """soon: see port.Node."""
        self._owner = owner
        self._soon = soon
        self._intake = intake
        self._input = b""
        """Read, and not taken in; while there is some, nothing more is read."""
        self._loop = loop
        self._limits = limits
        self._engine = ServerConnection(methods, limits, self._on_change, time.monotonic)
        self._transport: asyncio.Transport | None = None
        self._is_flush_due = False
        self._told_bytes = 0
        self._heard_at_s = loop.time()
        self._asked_at_s = -math.inf
        """Whether it lives."""
        self._written_bytes = 0
        self._reading = Reading()
        self._period: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._engine.common_name = common_name(transport.get_extra_info("peercert"))
        self._owner.on_opened(self)
        self._period = self._loop.call_later(PERIOD_S, self._end_period)
        if self._limits.keepalive_interval_s:
            self._keep_alive()

    def data_received(self, data: bytes) -> None:
        self._heard_at_s = self._loop.time()
        self._owner.on_bytes(len(data), 0)
        if self._input:  # the transport had it before it heard that nothing is wanted
            self._input += data
            return
        start = 0
        while start < len(data) and self._intake.has_time:
            self._engine.receive(data[start : start + PIECE_BYTES])
            start += PIECE_BYTES
        self._flush()
        if start < len(data):
            self._input = data[start:]
            self._choose_reading()
            self._intake.wait(self)

    def take_in(self) -> bool:
        """See intake.Source."""
        if self._transport is None:
            return False
        try:
            self._engine.receive(self._input[:PIECE_BYTES])
        except Exception:
            self._transport.abort()  # as the loop does for data_received
            raise
        self._input = self._input[PIECE_BYTES:]
        self._flush()
        if not self._input:
            self._choose_reading()
        return bool(self._input)

    def _choose_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._input or self._engine.is_blocked:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _on_change(self) -> None:
        """A call was answered outside of data_received."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        transport = self._transport
        if transport is None:
            return
        if self._engine.has_output:
            if transport.get_write_buffer_size() > self._limits.buffered_bytes_max:
                transport.abort()
                return
            data = self._engine.take_output()
            self._written_bytes += len(data)
            self._owner.on_bytes(0, len(data))
            transport.write(data)
            self._engine.on_written()
        if self._engine.is_closed:
            transport.close()
        self._tell_waiting(transport)

    def _tell_waiting(self, transport: asyncio.Transport) -> None:
        waiting_bytes = self._engine.queued_bytes + transport.get_write_buffer_size()
        if waiting_bytes != self._told_bytes:
            self._told_bytes = waiting_bytes
            self._owner.on_waiting(self, waiting_bytes)

    def pause_writing(self) -> None:
        self._engine.is_blocked = True
        self._choose_reading()

    def resume_writing(self) -> None:
        self._engine.is_blocked = False
        self._engine.on_written()
        self._choose_reading()
        if self._transport is not None and not self._transport.is_closing():
            self._tell_waiting(self._transport)

    def _end_period(self) -> None:
        transport = self._transport
        assert transport is not None
        if self._reading.has_stalled(self._written_bytes, transport.get_write_buffer_size()):
            self.abort()
            return
        self._engine.new_period()
        self._period = self._loop.call_later(PERIOD_S, self._end_period)

    def _keep_alive(self) -> None:
        """Ask a silent client whether it lives; one that was asked and did not answer is not there any more."""
        transport, limits = self._transport, self._limits
        assert transport is not None
        now_s = self._loop.time()
        wait_s = self._heard_at_s + limits.keepalive_interval_s - now_s
        if wait_s <= 0 and transport.is_reading():
            if self._asked_at_s >= self._heard_at_s:
                self.abort()
                return
            self._asked_at_s = now_s
            self._engine.ping()
            self._flush()
            wait_s = limits.keepalive_timeout_s
        self._keepalive = self._loop.call_later(
            wait_s if wait_s > 0 else limits.keepalive_interval_s, self._keep_alive
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._input = b""
        for timer in (self._period, self._keepalive):
            if timer is not None:
                timer.cancel()
        self._engine.lost()
        self._owner.on_closed(self)

    @property
    def has_calls(self) -> bool:
        """Whether some are open, or their answers are not written yet."""
        return bool(self._engine.streams) or self._is_flush_due

    def drain(self) -> None:
        """Let open calls end; take no new ones."""
        self._engine.drain()
        self._flush()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
