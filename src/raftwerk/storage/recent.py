"""The rows of one table for the keys that were read last, as they are now: most keys that are read are read again."""

from collections import deque
from typing import Final

ROW_OVERHEAD_BYTES: Final = 128
BYTES_MAX: Final = 8 * 1024 * 1024
"""By an estimate: some 45,000 short keys. They take up 12 MB, as Python makes the table larger than they need."""

_FORGOTTEN: Final = b""
"""In place of a row, which is never empty: its key keeps its place in the order."""


class Recent:
    """Rows in memory of a bound, and the last one beside them. Who came first goes first, however often it was used since: a
    hot key comes back with one read."""

    __slots__ = ("_bytes", "_last", "_last_row", "_order", "_rows")

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._order: deque[bytes] = deque()
        self._bytes = 0
        self._last, self._last_row = b"", _FORGOTTEN
        """Key and row of what came last. It finds its place when the next one comes: a put reads a row and forgets it."""

    def get(self, key: bytes) -> bytes | None:
        """The row of a key; None if it is not known here."""
        if key == self._last and self._last_row:
            return self._last_row
        return self._rows.get(key) or None

    def put(self, key: bytes, row: bytes) -> None:
        if self._last_row:
            self._keep(self._last, self._last_row)
        self._last, self._last_row = key, row

    def forget(self, key: bytes) -> None:
        if key == self._last:
            self._last_row = _FORGOTTEN
        if self._rows.get(key):
            self._keep(key, _FORGOTTEN)

    def _keep(self, key: bytes, row: bytes) -> None:
        rows = self._rows
        before = rows.get(key)
        rows[key] = row
        if before is None:
            self._order.append(key)
            self._bytes += len(key) + len(row) + ROW_OVERHEAD_BYTES
        else:
            self._bytes += len(row) - len(before)
        while self._bytes > BYTES_MAX:
            oldest = self._order.popleft()
            self._bytes -= len(oldest) + len(rows.pop(oldest)) + ROW_OVERHEAD_BYTES
