"""Answers that clients have not read yet: bounded over all connections of the port, at the cost of whoever has most of them."""

from typing import Final, Protocol

BYTES_MAX: Final = 512 * 1024 * 1024
"""Of all connections together (http2.limits bounds each). Beyond it, the one that holds most is closed."""
ANSWER_BYTES_MAX: Final = BYTES_MAX * 3 // 4
"""Of one answer to a read: larger ones are refused. The connection would be closed for it, with all that goes on there, and
clients of etcd would ask again, a hundred times.
"""


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


class Reading:
    """Whether a client takes what was written for it: looked at once in a period."""

    def __init__(self) -> None:
        self._waiting_bytes = self._taken_bytes = 0
        """Not taken, and taken, by the kernel when the period began."""

    def has_stalled(self, written_bytes: int, waiting_bytes: int) -> bool:
        """A period ends: whether something has waited since its beginning, and nothing was taken. The next one begins.

        written_bytes: in all; waiting_bytes: of those, not taken yet.
        """
        taken_bytes = written_bytes - waiting_bytes
        has_stalled = waiting_bytes > 0 < self._waiting_bytes and taken_bytes == self._taken_bytes
        self._waiting_bytes, self._taken_bytes = waiting_bytes, taken_bytes
        return has_stalled
