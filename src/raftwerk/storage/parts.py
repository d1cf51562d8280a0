"""A dictionary of rows in parts.

A dictionary that grows moves all that it has at once: one of 350,000 rows takes 14 ms for it, and the event loop waits. The parts
grow one at a time.
"""

from collections.abc import Iterator
from typing import Final

COUNT: Final = 16
"""Then a part grows in a millisecond, where one dictionary would take more than the loop may wait. A power of two."""
MASK: Final = COUNT - 1


class Rows:
    """Keys, and their values; None: deleted, as far as the owner wants that. In no order."""

    __slots__ = ("_count", "parts")

    def __init__(self) -> None:
        self.parts: list[dict[bytes, bytes | None]] = [{} for _ in range(COUNT)]
        """Only to read."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self.parts[hash(key) & MASK]

    def __getitem__(self, key: bytes) -> bytes | None:
        """Raises KeyError."""
        return self.parts[hash(key) & MASK][key]

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """The value of a key, if it is there."""
        return self.parts[hash(key) & MASK].get(key, default)

    def put(self, key: bytes, value: bytes | None) -> bool:
        """Set it. Returns whether the key is new."""
        part = self.parts[hash(key) & MASK]
        count = len(part)
        part[key] = value
        if len(part) == count:
            return False
        self._count += 1
        return True

    def remove(self, key: bytes) -> None:
        """A key that is there. Raises KeyError."""
        del self.parts[hash(key) & MASK][key]
        self._count -= 1

    def release(self) -> Iterator[None]:
        """Give its memory back, piece by piece: all at once holds up the loop. Nobody may use it any more."""
        while self.parts:
            if self.parts.pop():
                yield

    def items(self) -> Iterator[tuple[bytes, bytes | None]]:
        """All, until the next change."""
        for part in self.parts:
            yield from part.items()
