"""The hub of watches: carries each event, once and in order, to everybody who watches its key.

A watcher is synced, lagging or parked. Synced: it gets the events of each applied batch at once. Lagging: it catches up
from the store's history, a slice at a time (`catch_up`), and becomes synced where the history ends. Parked: its listener
takes nothing more for now; it costs no memory but itself, and lags when the listener goes on. Whoever is not synced keeps
nothing alive: a compaction that overtakes it cancels it.

Invariants: all events before a watcher's next_revision have been delivered to it, none from there on, but for a synced
one: to it, all have. Events of one revision are delivered together.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol

from raftwerk.kv.rows import REVISION
from raftwerk.kv.watch_history import Event, History
from raftwerk.kv.watch_index import Audience, Index, Interest
from raftwerk.kv.watch_index import Watcher as IndexedWatcher

ROUND_WATCHERS: Final = 500
"""That catch up together: as many deliveries at most end a slice."""
DELIVERIES_MAX: Final = 5_000
"""Of one applied batch, at once: the others catch up."""

DELIVERY_BYTES_MAX: Final = 512 * 1024
"""But for a single revision: clients refuse responses that are too large."""


class State(Enum):
    SYNCED = "synced"
    LAGGING = "lagging"
    PARKED = "parked"
    GONE = "gone"


class Watcher(IndexedWatcher):
    """One watch of a listener."""

    __slots__ = ("listener", "next_revision", "state", "watch_id")

    def __init__(
        self, listener: "Listener", watch_id: int, interest: Interest, next_revision: int
    ) -> None:
        super().__init__(interest)
        self.next_revision = next_revision
        self.listener = listener
        self.watch_id = watch_id
        self.state = State.GONE


class Delivery:
    """Events for a watcher, whole revisions, serialized as fields of a WatchResponse. Shared by all who get the same."""

    __slots__ = ("_data", "fields", "first_revision", "revision")

    def __init__(self, first_revision: int, revision: int) -> None:
        self.first_revision = first_revision
        """Of its events."""
        self.revision = revision
        """Of the store."""
        self.fields: list[bytes] = []
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """All fields."""
        if self._data is None:
            self._data = b"".join(self.fields)
        return self._data


class Listener(Protocol):
    """Whom watchers belong to: a stream."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes more."""

    def on_parked(self) -> None:
        """A watcher waits until Hub.resume is called."""

    def take(self, watcher: Watcher, delivery: Delivery) -> None: ...

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        """What the watcher needs is gone; so is the watcher."""

    def flush(self) -> None:
        """No more for now."""


class Hub:
    """See the module's text. Used from the machine's thread."""

    def __init__(
        self, history: History, on_lagging: Callable[[], None], on_published: Callable[[], None]
    ) -> None:
        """on_lagging: there is something to catch up. on_published: there is something to deliver: best when whoever wrote it
        has been answered.
        """
        self._history = history
        self._on_lagging = on_lagging
        self._on_published = on_published
        self._published: list[Event] = []
        self._revision = history.revision
        """Synced watchers have everything up to it."""
        self._synced = Index()
        self._lagging: dict[int, dict[Watcher, None]] = {}
        """By next_revision; those that wait longest first."""
        self._parked: dict[Listener, dict[Watcher, None]] = {}
        self._round: _Round | None = None
        self.watcher_count = 0
        self.synced_count = 0

    # Watchers

    def add(self, watcher: Watcher) -> None:
        """Begin at watcher.next_revision, past or future."""
        self.deliver()
        self.watcher_count += 1
        self._place(watcher)

    def remove(self, watcher: Watcher) -> None:
        """The watcher gets nothing more."""
        if watcher.state is State.GONE:
            return
        if watcher.state is State.SYNCED:
            self._unsync(watcher)
        elif watcher.state is State.LAGGING:
            group = self._lagging.get(watcher.next_revision, {})
            group.pop(watcher, None)  # else it is in the round, which passes over it
            if not group:
                self._lagging.pop(watcher.next_revision, None)
        else:
            parked = self._parked[watcher.listener]
            del parked[watcher]
            if not parked:
                del self._parked[watcher.listener]
        watcher.state = State.GONE
        self.watcher_count -= 1

    def resume(self, listener: Listener) -> None:
        """The listener is ready again."""
        self.deliver()
        for watcher in self._parked.pop(listener, ()):
            self._place(watcher)

    @property
    def revision(self) -> int:
        """The machine's; synced watchers have everything up to it, now at the latest."""
        self.deliver()
        return self._revision

    def is_synced(self, watcher: Watcher) -> bool:
        """Whether it has everything up to `revision`, and wants what comes next."""
        revision = self.revision
        return watcher.state is State.SYNCED and watcher.next_revision <= revision + 1

    @property
    def has_lagging(self) -> bool:
        return bool(self._lagging) or self._round is not None

    def _place(self, watcher: Watcher) -> None:
        next_revision = watcher.next_revision
        if next_revision > self._revision:
            watcher.state = State.SYNCED
            self.synced_count += 1
            # Who waits for the future is told apart, so that nothing older reaches it
            is_future = next_revision > self._revision + 1
            self._synced.add(watcher, next_revision if is_future else 0)
        else:
            watcher.state = State.LAGGING
            self._lagging.setdefault(next_revision, {})[watcher] = None
            self._on_lagging()

    def _unsync(self, watcher: Watcher) -> None:
        self._synced.remove(watcher)
        self.synced_count -= 1

    def _park(self, watcher: Watcher) -> None:
        watcher.state = State.PARKED
        if watcher.listener not in self._parked:
            watcher.listener.on_parked()
        self._parked.setdefault(watcher.listener, {})[watcher] = None

    # Events

    def publish(self, events: list[Event]) -> None:
        """What the machine has written since the last call."""
        if events:
            self._published += events
            self._on_published()

    def deliver(self) -> None:
        """Bring the synced watchers up to the machine's revision."""
        self._revision = self._history.revision
        events, self._published = self._published, []
        audiences = self._synced.gather(events)
        left = DELIVERIES_MAX
        touched: dict[Listener, None] = {}
        for audience in audiences:
            deliveries = self._take(audience)
            for watcher in tuple(audience.watchers):
                assert isinstance(watcher, Watcher)
                if watcher.state is not State.SYNCED:  # a listener that failed has left
                    continue
                rest = deliveries[0]
                if left > 0:
                    left -= 1
                    touched[watcher.listener] = None
                    left_over = _hand_over(watcher, deliveries)
                    if left_over is None:
                        continue
                    rest = left_over
                self._unsync(watcher)
                watcher.next_revision = rest.first_revision
                if left > 0:
                    self._park(watcher)
                else:
                    self._place(watcher)
        for listener in touched:
            listener.flush()

    def _take(self, audience: Audience) -> list[Delivery]:
        """What the audience has gathered, cut where it is large: between revisions."""
        events, audience.events = audience.events, []
        has_prev = audience.interest.prev_kv
        store, compacted = self._history.store, self._history.compacted_revision
        deliveries: list[Delivery] = []
        size_bytes = last_revision = 0
        for event in events:
            field = event.field_with_prev(store, compacted) if has_prev else event.field()
            is_full = size_bytes + len(field) > DELIVERY_BYTES_MAX
            if not deliveries or (is_full and event.revision > last_revision):
                deliveries.append(Delivery(event.revision, self._revision))
                size_bytes = 0
            deliveries[-1].fields.append(field)
            size_bytes += len(field)
            last_revision = event.revision
        return deliveries

    def replaced(self) -> None:
        """The machine's state is another, newer one: what was being read from its history is begun anew."""
        self.unpublished()
        if self._round is not None:
            for watcher in self._round.watchers:
                if watcher.state is not State.GONE:
                    self._place(watcher)
            self._round = None

    def unpublished(self) -> None:
        """The machine has gone on without publishing its events: synced watchers get them from its history."""
        self._published.clear()
        watchers = self._synced.watchers()
        self._synced = Index()  # taken out one by one, 20,000 would take 0.3 s
        self.synced_count = 0
        past, self._revision = self._revision, self._history.revision
        for watcher in watchers:
            assert isinstance(watcher, Watcher)
            watcher.next_revision = max(watcher.next_revision, past + 1)
            self._place(watcher)

    # History

    def catch_up(self, max_rows: int) -> bool:
        """One slice of work for those that lag: at most max_rows events. Returns whether there is more."""
        self.deliver()
        if self._round is None:
            self._round = self._begin_round(max_rows)
        if self._round is not None:
            self._cancel_overtaken(self._round.watchers)
            last = self._round.step(max_rows)
            if last is not None:
                self._end_round(self._round, last)
        return self.has_lagging

    def _begin_round(self, max_rows: int) -> "_Round | None":
        """Those that wait longest, and whoever they will come across."""
        if not self._lagging:
            return None
        first = next(iter(self._lagging))
        watchers: list[Watcher] = []
        for revision in [at for at in self._lagging if first <= at <= first + max_rows]:
            group = self._lagging[revision]
            while group and len(watchers) < ROUND_WATCHERS:
                watcher, _ = group.popitem()
                watchers.append(watcher)
            if group:
                break
            del self._lagging[revision]
        return _Round(self._history, watchers, first)

    def _cancel_overtaken(self, watchers: Iterable[Watcher]) -> None:
        compacted = self._history.compacted_revision
        for watcher in watchers:
            if watcher.state is State.LAGGING and watcher.next_revision < compacted:
                watcher.state = State.GONE
                self.watcher_count -= 1
                watcher.listener.on_compacted(watcher, compacted)

    def _end_round(self, ended: "_Round", last: int) -> None:
        """Deliver what was gathered: everything up to and including revision `last`."""
        self._round = None
        touched: dict[Listener, None] = {}
        for audience in ended.audiences:
            deliveries = self._take(audience)
            for watcher in audience.watchers:
                assert isinstance(watcher, Watcher)
                if watcher.state is not State.LAGGING:
                    continue
                touched[watcher.listener] = None
                rest = _hand_over(watcher, deliveries)
                if rest is not None:
                    watcher.next_revision = rest.first_revision
                    self._park(watcher)
        for watcher in ended.watchers:
            if watcher.state is State.LAGGING:
                watcher.next_revision = max(watcher.next_revision, last + 1)
                self._place(watcher)
        for listener in touched:
            listener.flush()


def _hand_over(watcher: Watcher, deliveries: list[Delivery]) -> Delivery | None:
    """As much as the listener takes. Returns the first that it did not."""
    listener = watcher.listener
    for delivery in deliveries:
        if watcher.state is State.GONE:  # the listener failed
            return None
        if not listener.is_ready:
            return delivery
        listener.take(watcher, delivery)
    return None


class _Round:
    """Some watchers that catch up together, over a stretch of history that ends where a revision does."""

    def __init__(self, history: History, watchers: list[Watcher], first: int) -> None:
        self.watchers = watchers
        self.audiences: list[Audience] = []
        """Those for whom there is something."""
        self._history = history
        self._position = REVISION.pack(first, 0)
        self._index = Index()
        for watcher in watchers:
            self._index.add(watcher, watcher.next_revision)

    def step(self, max_rows: int) -> int | None:
        """Gather what at most max_rows events are. Returns the last revision that is complete; None: go on."""
        events, position = self._history.read(self._position, max_rows)
        if position is None:
            self.audiences += self._index.gather(events)
            return self._history.revision
        if not events:
            self._position = position
            return None
        after = int.from_bytes(position[:8], "big")
        if events[-1].revision == after:  # leave the beginning of that revision for the next slice
            whole = [event for event in events if event.revision < after]
            if not whole:
                self._position = position
                self.audiences += self._index.gather(events)
                return None
            events = whole
        self.audiences += self._index.gather(events)
        return after - 1
