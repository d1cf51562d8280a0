"""The rows of one table that were written, or first read, last: most writes are of keys that are in use."""

from typing import Final

ROW_OVERHEAD_BYTES: Final = 128
GENERATION_BYTES: Final = 16 * 1024 * 1024
"""Two generations are held."""


class Recent:
    """Rows as they are now, in memory of about a bound. Two generations: when the young one is full, the old one goes."""

    __slots__ = ("_old", "_young", "_young_bytes")

    def __init__(self) -> None:
        self._young: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The row of a key; None if it is not known here."""
        row = self._young.get(key)
        return row if row is not None else self._old.get(key)

    def put(self, key: bytes, row: bytes) -> None:
        young = self._young
        count = len(young)
        young[key] = row
        if len(young) > count:
            self._young_bytes += len(key) + len(row) + ROW_OVERHEAD_BYTES
            if self._young_bytes >= GENERATION_BYTES:
                self._old, self._young, self._young_bytes = young, {}, 0

    def forget(self, key: bytes) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)
