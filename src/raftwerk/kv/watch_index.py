"""Who watches a key: found in logarithmic time among many watchers of single keys and of ranges.

Watchers that want the same are one audience: their events are looked up, filtered and put together once for all of them.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from raftwerk.kv.versions import bounds
from raftwerk.kv.watch_history import Event

BLOCK_RANGES: Final = 64
MATCHES_MAX: Final = 10_000
MATCH_KEY_BYTES_MAX: Final = 1024
"""Longer keys are looked up each time: what is remembered of matches stays small."""


class Interest(NamedTuple):
    """What is watched, and how it is told. range_end as in a Range."""

    key: bytes
    range_end: bytes = b""
    has_puts: bool = True
    has_deletes: bool = True
    prev_kv: bool = False


class Watcher:
    """One watch. Compared and hashed by identity."""

    __slots__ = ("first_revision", "interest")

    def __init__(self, interest: Interest) -> None:
        self.interest = interest
        self.first_revision = 0
        """Older events are not wanted; its index sets it."""


class Audience:
    """Watchers with one interest from one revision on."""

    __slots__ = ("events", "first_revision", "interest", "start", "stop", "watchers")

    def __init__(self, interest: Interest, first_revision: int) -> None:
        self.interest = interest
        self.first_revision = first_revision
        self.start, self.stop = bounds(interest.key, interest.range_end)
        self.watchers: dict[Watcher, None] = {}
        self.events: list[Event] = []
        """Gathered for them, not delivered yet."""

    def wants(self, event: Event) -> bool:
        """Of an event of a key that it watches."""
        interest = self.interest
        is_wanted = interest.has_deletes if event.is_delete else interest.has_puts
        return is_wanted and event.revision >= self.first_revision


class Index:
    """Audiences by what they watch."""

    def __init__(self) -> None:
        self._audiences: dict[tuple[Interest, int], Audience] = {}
        self._of_keys: dict[bytes, list[Audience]] = {}
        self._of_ranges = _Ranges()
        self._matches: dict[bytes, tuple[Audience, ...]] = {}
        """What `match` found before, until the audiences change."""

    def add(self, watcher: Watcher, first_revision: int) -> None:
        """first_revision: older events do not concern the watcher. It must be in no other index that it is removed from."""
        watcher.first_revision = first_revision
        identity = watcher.interest, first_revision
        audience = self._audiences.get(identity)
        if audience is None:
            audience = self._audiences[identity] = Audience(*identity)
            if watcher.interest.range_end:
                self._of_ranges.add(audience)
            else:
                self._of_keys.setdefault(audience.start, []).append(audience)
            self._matches.clear()
        audience.watchers[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        identity = watcher.interest, watcher.first_revision
        audience = self._audiences[identity]
        del audience.watchers[watcher]
        if audience.watchers:
            return
        del self._audiences[identity]
        if watcher.interest.range_end:
            self._of_ranges.remove(audience)
        else:
            audiences = self._of_keys[audience.start]
            audiences.remove(audience)
            if not audiences:
                del self._of_keys[audience.start]
        self._matches.clear()

    def watchers(self) -> list[Watcher]:
        """All of them, in the order of their audiences."""
        return [watcher for audience in self._audiences.values() for watcher in audience.watchers]

    def match(self, key: bytes) -> tuple[Audience, ...]:
        """Whoever watches a key."""
        found = self._matches.get(key)
        if found is None:
            found = (*self._of_keys.get(key, ()), *self._of_ranges.match(key))
            if len(self._matches) >= MATCHES_MAX:
                self._matches.clear()
            if len(key) <= MATCH_KEY_BYTES_MAX:
                self._matches[key] = found
        return found

    def gather(self, events: list[Event]) -> list[Audience]:
        """Give each event to whoever wants it. Returns the audiences that had none before."""
        fresh = []
        for event in events:
            for audience in self.match(event.key):
                if audience.wants(event):
                    if not audience.events:
                        fresh.append(audience)
                    audience.events.append(event)
        return fresh


_START: Final = attrgetter("start")


class _Block:
    """Some audiences of ranges, by start, and how far they reach (None: to the end of all keys)."""

    __slots__ = ("audiences", "reach")

    def __init__(self, audiences: list[Audience]) -> None:
        self.audiences = audiences
        self.measure()

    def measure(self) -> None:
        self.reach: bytes | None = b""
        for audience in self.audiences:
            self.extend(audience.stop)

    def extend(self, stop: bytes | None) -> None:
        if stop is None or self.reach is None:
            self.reach = None
        else:
            self.reach = max(self.reach, stop)


class _Ranges:
    """Audiences of ranges, ordered by start, in blocks: those that end before a key are passed over."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._firsts: list[bytes] = []
        """The start of each block."""

    def add(self, audience: Audience) -> None:
        if not self._blocks:
            self._replace(slice(0, 0), audience)
            return
        place = max(0, bisect_right(self._firsts, audience.start) - 1)
        block = self._blocks[place]
        insort(block.audiences, audience, key=_START)
        block.extend(audience.stop)
        self._firsts[place] = block.audiences[0].start
        if len(block.audiences) > BLOCK_RANGES:
            self._replace(slice(place, place + 1), *block.audiences)

    def _replace(self, places: slice, *audiences: Audience) -> None:
        """Put two blocks, or one, into the places of others."""
        middle = (len(audiences) + 1) // 2
        halves = [list(half) for half in (audiences[:middle], audiences[middle:]) if half]
        self._blocks[places] = [_Block(half) for half in halves]
        self._firsts[places] = [half[0].start for half in halves]

    def remove(self, audience: Audience) -> None:
        # Equal starts may stand in several blocks
        place = max(0, bisect_left(self._firsts, audience.start) - 1)
        while audience not in self._blocks[place].audiences:
            place += 1
        block = self._blocks[place]
        block.audiences.remove(audience)
        if block.audiences:
            block.measure()
            self._firsts[place] = block.audiences[0].start
        else:
            del self._blocks[place], self._firsts[place]

    def match(self, key: bytes) -> Iterator[Audience]:
        for block in self._blocks[: bisect_right(self._firsts, key)]:
            if block.reach is None or key < block.reach:
                for audience in block.audiences:
                    if audience.start > key:
                        break
                    if audience.stop is None or key < audience.stop:
                        yield audience
