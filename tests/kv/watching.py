"""Listeners that remember what watchers are told, and the plain truth to compare it with."""

from pathlib import Path
from typing import NamedTuple

from raftwerk.api.watch_pb2 import WatchResponse
from raftwerk.kv.commands import Command, Put, encode
from raftwerk.kv.machine import SLICE_ROWS
from raftwerk.kv.watch import Delivery, Hub, Watcher
from raftwerk.kv.watch_index import Interest
from tests.kv.rig import Rig, completed


class Told(NamedTuple):
    """One event as a client sees it. prev: the value before, None if it was not told."""

    revision: int
    kind: str
    key: bytes
    value: bytes
    prev: bytes | None


def told(fields: bytes) -> list[Told]:
    """The events of a response."""
    return [
        Told(
            event.kv.mod_revision,
            "delete" if event.type else "put",
            event.kv.key,
            event.kv.value,
            event.prev_kv.value if event.HasField("prev_kv") else None,
        )
        for event in WatchResponse.FromString(fields).events
    ]


class Client:
    """A listener with any number of watchers. Takes `room` deliveries before it has to be read; None: any number."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.room: int | None = None
        self.deliveries: dict[Watcher, list[list[Told]]] = {}
        self.compacted: dict[Watcher, int] = {}
        self.unflushed = 0
        self.parked = 0

    def watch(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        start: int = 0,
        has_puts: bool = True,
        has_deletes: bool = True,
        prev_kv: bool = False,
    ) -> Watcher:
        """start 0: from now on."""
        interest = Interest(key, range_end, has_puts, has_deletes, prev_kv)
        watcher = Watcher(self, 0, interest, start or self._hub.revision + 1)
        self.deliveries[watcher] = []
        self._hub.add(watcher)
        return watcher

    def read(self, room: int | None = None) -> None:
        """Make room again."""
        self.room = room
        self._hub.resume(self)

    def events(self, watcher: Watcher) -> list[Told]:
        """All that it was told."""
        return [event for delivery in self.deliveries[watcher] for event in delivery]

    @property
    def is_ready(self) -> bool:
        return self.room is None or self.room > 0

    def on_parked(self) -> None:
        self.parked += 1

    def take(self, watcher: Watcher, delivery: Delivery) -> None:
        assert self.is_ready, "it was full"
        assert watcher not in self.compacted, "it was cancelled"
        if self.room is not None:
            self.room -= 1
        self.unflushed += 1
        self.deliveries[watcher].append(told(delivery.data))

    def on_compacted(self, watcher: Watcher, compacted_revision: int) -> None:
        self.compacted[watcher] = compacted_revision

    def flush(self) -> None:
        self.unflushed = 0


class WatchRig(Rig):
    """A machine with a hub. pleas: how often the hub asked for somebody to catch up. is_eager: events are delivered at once."""

    def __init__(
        self, folder: Path | None = None, *, is_eager: bool = True, slice_rows: int = SLICE_ROWS
    ) -> None:
        super().__init__(folder, slice_rows=slice_rows)
        self.pleas = 0
        self.hub = self.machine.open_hub(self._on_lagging, self._on_published)
        self._is_eager = is_eager

    def _on_lagging(self) -> None:
        self.pleas += 1

    def _on_published(self) -> None:
        if self._is_eager:
            self.hub.deliver()

    def client(self) -> Client:
        return Client(self.hub)

    def catch_up(self, max_rows: int = 3) -> int:
        """To the end. Returns how many slices it took."""
        slices = 1
        while self.hub.catch_up(max_rows):
            slices += 1
        return slices


def put(revision: int, key: bytes = b"a", value: bytes = b"v", prev: bytes | None = None) -> Told:
    return Told(revision, "put", key, value, prev)


def deleted(revision: int, key: bytes = b"a", prev: bytes | None = None) -> Told:
    return Told(revision, "delete", key, b"", prev)


def write(rig: WatchRig, *keys: bytes, value: bytes = b"v") -> None:
    rig.execute_all(*(Put(key, value) for key in keys))


def apply_together(rig: WatchRig, *commands: Command) -> None:
    """As one batch of the log."""
    rig.log += map(encode, commands)
    completed(rig.machine.apply([encode(command) for command in commands], len(rig.log), b""))
