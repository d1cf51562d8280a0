"""Clients that watch: through the hub of any node, at their own pace, and from where they were when something breaks.

A stream may take nothing for a while (its client does not read), be taken up at another node, or have to begin anew because
what it needs was compacted. What it gets is judged by checkers/events.py.
"""

from dataclasses import dataclass
from typing import Final

from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.watch import Delivery, State, Watcher
from raftwerk.kv.watch_index import Interest
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.machines import KvHome

WATCHES_MAX: Final = 4
"""Of one stream."""


@dataclass(slots=True)
class Watch:
    """One watch of a client, over all streams. next_revision: it has everything before that.

    next_wanted: the next event that it should get is not before that.
    """

    name: str
    interest: Interest
    next_revision: int
    watcher: Watcher | None = None
    next_wanted: int = 0


class WatchClient(Caller):
    """One stream after the other. Implements kv.watch.Listener."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, f"watch client {number}")
        self._groups = cluster.options.workload.groups
        self._watches: list[Watch] = []
        self._home: KvHome | None = None
        self._node_id = 0
        self._life = 0
        self._takes_left = 0
        """Deliveries until it takes nothing for a while."""

    # What the client does

    def next(self) -> None:
        """Look around: is the stream alive, is it time for something else?"""
        if not self._is_alive():
            self._begin()
        elif self.random.random() < 0.05:
            self._leave()
        elif self._takes_left <= 0 and self.random.random() < 0.5:
            self._go_on()
        else:
            self._ask_for_progress()
            if len(self._watches) < WATCHES_MAX and self.random.random() < 0.1:
                self._watch()
        self.pause(self.random.randrange(10_000, 200_000), self.next)

    def _is_alive(self) -> bool:
        if self._home is None:
            return False
        node = self.cluster.nodes[self._node_id]
        return node.is_up and node.lives == self._life

    def _begin(self) -> None:
        """A stream at some node, with all watches, each from where it was."""
        self._home = None
        self._node_id = self.some_node()
        node = self.cluster.nodes[self._node_id]
        if not node.is_up:
            return
        assert isinstance(node.home, KvHome)
        self._home, self._life = node.home, node.lives
        self._takes_left = self.random.choice((1, 5, 1_000))
        for watch in self._watches:
            self.cluster.coverage.mark("watch: resumed")
            self._add(watch)
        if not self._watches:
            self._watch()

    def _watch(self) -> None:
        """A new one: of a key, of a group, or of all; from the past, from now on, or from the future."""
        assert self._home is not None
        hub, random = self._home.hub, self.random
        group = random.randrange(self._groups)
        key, range_end = random.choice(
            ((b"g%d/0" % group, b""), (b"g%d/" % group, b"g%d0" % group), (b"\0", ALL_FROM_KEY))
        )
        kinds = random.choice(((True, True), (True, True), (True, False), (False, True)))
        interest = Interest(key, range_end, *kinds, prev_kv=random.random() < 0.5)
        start = hub.revision + 1 + random.choice((0, 0, 5, -5, -50))
        name = f"{self.name}, watch {len(self._watches)}"
        watch = Watch(name, interest, max(1, start))
        self._watches.append(watch)
        self._add(watch)

    def _add(self, watch: Watch) -> None:
        assert self._home is not None
        hub = self._home.hub
        revision = hub.revision
        mark = "future" if watch.next_revision > revision + 1 else "past"
        self.cluster.coverage.mark(f"watch: from the {mark}")
        number = self._watches.index(watch)
        watch.watcher = Watcher(self, number, watch.interest, watch.next_revision)
        hub.add(watch.watcher)

    def _leave(self) -> None:
        """Cancel everything here; the next look begins somewhere else."""
        assert self._home is not None
        for watch in self._watches:
            if watch.watcher is not None:
                self._home.hub.remove(watch.watcher)
        self._home = None

    def _go_on(self) -> None:
        assert self._home is not None
        self._takes_left = self.random.choice((1, 5, 1_000))
        self.cluster.coverage.mark("watch: slow stream goes on")
        self._home.hub.resume(self)

    def _ask_for_progress(self) -> None:
        assert self._home is not None
        hub = self._home.hub
        for watch in self._watches:
            assert watch.watcher is not None
            if hub.is_synced(watch.watcher):
                self._told_progress(watch, hub.revision)

    def _told_progress(self, watch: Watch, revision: int) -> None:
        self.cluster.coverage.mark("watch: progress")
        events = self.cluster.kv.events
        events.check_progress(watch.name, watch.interest, watch.next_revision, revision)
        watch.next_revision = max(watch.next_revision, revision + 1)

    # The end

    def finish(self) -> None:
        """Every watch is taken up at some node, and takes everything."""
        self.stop()
        self._takes_left = 1_000_000
        if not self._is_alive():
            self._begin()
            self._takes_left = 1_000_000
        elif self._home is not None:
            self._home.hub.resume(self)

    @property
    def places(self) -> list[int]:
        """The revision from which on each watch has nothing yet."""
        return [watch.next_revision for watch in self._watches]

    def lacks(self) -> str:
        """What a watch should have got by now; "": nothing. Asked often: it goes on from where it was asked last."""
        events = self.cluster.kv.events
        for watch in self._watches:
            first = max(watch.next_revision, watch.next_wanted)
            watch.next_wanted = events.next_wanted(watch.interest, first)
            if watch.next_wanted <= events.revision:
                return f"{watch.name} at node {self._node_id} lacks revision {watch.next_wanted}"
        return ""

    # For the hub (kv.watch.Listener)

    @property
    def is_ready(self) -> bool:
        return self._takes_left > 0

    def on_parked(self) -> None:
        self.cluster.coverage.mark("watch: parked")

    def take(self, watcher: Watcher, delivery: Delivery) -> None:
        assert self._home is not None
        self._takes_left -= 1
        watch = self._watches[watcher.watch_id]
        how = "synced" if watcher.state is State.SYNCED else "history"
        self.cluster.coverage.mark(f"watch: events from {how}")
        compacted_revision = self._home.machine.compacted_revision
        last = self.cluster.kv.events.check_delivery(
            watch.name, watch.interest, watch.next_revision, delivery.data, compacted_revision
        )
        watch.next_revision = last + 1

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        self.cluster.coverage.mark("watch: compacted")
        watch = self._watches[watcher.watch_id]
        self.cluster.kv.events.check_compacted(watch.name, watch.next_revision, compacted_revision)
        watch.next_revision = compacted_revision
        self.cluster.world.after(1_000, lambda: self._again(watch, watcher))

    def _again(self, watch: Watch, watcher: Watcher) -> None:
        """From where something is left."""
        if self._is_alive() and watch.watcher is watcher:
            self._add(watch)

    def flush(self) -> None:
        """Nothing is held back."""
