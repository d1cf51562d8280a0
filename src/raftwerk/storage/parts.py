"""A dictionary of rows in parts.

A dictionary that grows moves all that it has at once, and one that goes frees all at once: with 350,000 rows that takes 14 ms,
and the event loop waits. So no part has more than PART_ROWS, and many rows go some at a time.
"""

from collections.abc import Iterator
from typing import Final

PART_ROWS: Final = 160_000
"""CPython would move 174,762 at once. As a rule there is one part: each further one is a further place to look, and with parts
of 80,000 a put to one of a million keys costs some percent more."""
RELEASED_ROWS: Final = 2_000
"""At once, a tenth of a millisecond."""
MANY: Final = 40_000
"""Rows that take a millisecond or two to be freed."""


class Rows:
    """Keys, and their values; None: deleted, as far as the owner wants that. In the order in which they came."""

    __slots__ = ("_newest", "_older", "_older_count")

    def __init__(self) -> None:
        self._newest: dict[bytes, bytes | None] = {}
        self._older: list[dict[bytes, bytes | None]] = []
        """Full ones. A key stands in one part only."""
        self._older_count = 0

    def __len__(self) -> int:
        return self._older_count + len(self._newest)

    @property
    def are_many(self) -> bool:
        """Whether they should be given back with `release`."""
        return len(self) > MANY

    @property
    def parts(self) -> list[dict[bytes, bytes | None]]:
        """Only to read."""
        return [*self._older, self._newest]

    def __contains__(self, key: bytes) -> bool:
        return key in self._newest or (bool(self._older) and key in self._part_of(key))

    def __getitem__(self, key: bytes) -> bytes | None:
        """Raises KeyError."""
        part = self._part_of(key) if self._older else self._newest
        return part[key]

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """The value of a key, if it is there."""
        value = self._newest.get(key, default)
        if value is default:
            for part in self._older:
                if key in part:
                    return part[key]
        return value

    def _part_of(self, key: bytes) -> dict[bytes, bytes | None]:
        """The part that has it; the newest one if none has."""
        for part in self._older:
            if key in part:
                return part
        return self._newest

    def put(self, key: bytes, value: bytes | None) -> bool:
        """Set it. Returns whether the key is new."""
        part = self._part_of(key) if self._older else self._newest
        count = len(part)
        part[key] = value
        if len(part) == count:
            return False
        if count + 1 == PART_ROWS:
            self._older.append(part)
            self._older_count += PART_ROWS
            self._newest = {}
        return True

    def remove(self, key: bytes) -> None:
        """A key that is there. Raises KeyError."""
        part = self._part_of(key)
        del part[key]
        if part is not self._newest:
            self._older_count -= 1

    def release(self) -> Iterator[None]:
        """Give its memory back, piece by piece: all at once holds up the loop. Nobody may use it any more."""
        for part in self.parts:
            while part:
                for _ in range(min(RELEASED_ROWS, len(part))):
                    part.popitem()
                yield
        self._older, self._older_count = [], 0
