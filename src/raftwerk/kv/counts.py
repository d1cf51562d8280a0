"""How many keys a range has, remembered: a Range with a limit says so, however few of them it answers.

At one revision the keys are always the same. So what one page has counted tells how many keys there are from the next page
on, and a client that pages through a range has it counted once, not once a page.
"""

from typing import Final

KNOWN_MAX: Final = 64
"""Counts that are remembered; the ones used least lately go."""

Stop = bytes | None
"""Where a range ends, itself not in it; None: it has all keys from its start on."""


class Counts:
    """Numbers of keys between a start and a stop, at a revision given as its bound (kv/versions.py)."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, Stop, bytes], tuple[bytes, int]] = {}
        """(bound, stop, highest start) -> (lowest start, keys). From all starts between these two there are as many."""

    def find(self, bound: bytes, stop: Stop, start: bytes) -> int | None:
        """The number of keys from `start` on, if it is known."""
        for place, (lowest, count) in self._known.items():
            if lowest <= start <= place[2] and place[0] == bound and place[1] == stop:
                self._known[place] = self._known.pop(place)
                return count
        return None

    def keep(self, bound: bytes, stop: Stop, lowest: bytes, highest: bytes, count: int) -> None:
        """Remember the number of keys from `highest` on. lowest: no key is from there to `highest`, but that one."""
        place = bound, stop, highest
        known = self._known.pop(place, None)
        if known is not None:
            lowest = min(lowest, known[0])
        self._known[place] = lowest, count
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
