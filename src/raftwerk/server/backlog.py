"""Answers that clients have not read yet: bounded over all connections of the port, at the cost of whoever has most of them."""

from typing import Final, Protocol

BYTES_MAX: Final = 512 * 1024 * 1024
"""Of all connections together (http2.limits bounds each). Beyond it, the one that holds most is closed."""


class Holder(Protocol):
    """A connection with answers that wait."""

    def abort(self) -> None:
        """Close it at once, and let go of what waits."""


class Backlog:
    """Bytes that wait, by connection."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._waiting: dict[Holder, int] = {}
        self.total_bytes = 0

    def tell(self, connection: Holder, waiting_bytes: int) -> int:
        """So much waits at a connection now. Returns how many connections were closed for it."""
        self.total_bytes += waiting_bytes - self._waiting.pop(connection, 0)
        if waiting_bytes:
            self._waiting[connection] = waiting_bytes
        closed = 0
        while self.total_bytes > self._bytes_max:
            largest = max(self._waiting, key=self._waiting.__getitem__)
            self.total_bytes -= self._waiting.pop(largest)
            largest.abort()
            closed += 1
        return closed
