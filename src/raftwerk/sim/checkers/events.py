"""Watches: each gets every event of its keys once, in order, whole revisions at a time, with the right key-values.

The events are read here from the oracle's rows as each revision is committed. A watch must get exactly those from where it
began up to the last revision that it has seen, however often it was taken up again; and progress says nothing that the
events before it have not said.
"""

from typing import NamedTuple

from raftwerk.api import kv_pb2, watch_pb2
from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.rows import REVISION, RevisionRow
from raftwerk.kv.store import Table
from raftwerk.kv.watch_index import Interest
from raftwerk.sim.checkers import Violation, require
from raftwerk.sim.kv_machine import SimKvMachine


class Event(NamedTuple):
    """What happened to a key. prev: its key-value before the revision; None if it had none."""

    revision: int
    is_delete: bool
    kv: kv_pb2.KeyValue
    prev: kv_pb2.KeyValue | None

    def is_wanted(self, interest: Interest) -> bool:
        key, start, stop = self.kv.key, interest.key, interest.range_end
        is_in = key == start if not stop else key >= start and (stop == ALL_FROM_KEY or key < stop)
        return is_in and (interest.has_deletes if self.is_delete else interest.has_puts)


class WatchedEvents:
    """All events, by revision."""

    def __init__(self, oracle: SimKvMachine) -> None:
        self._oracle = oracle
        self._events: dict[int, list[Event]] = {}
        self._newest: dict[bytes, kv_pb2.KeyValue | None] = {}

    def on_revision(self, revision: int) -> list[Event]:
        """The oracle has just come to it. Returns what happened there."""
        start, stop = REVISION.pack(revision, 0), REVISION.pack(revision + 1, 0)
        events = []
        for _, data in self._oracle.store.scan(Table.REVISIONS, start, stop):
            row = RevisionRow.decode(data)
            kv = kv_pb2.KeyValue.FromString(row.key_value)
            events.append(Event(revision, row.is_delete, kv, self._newest.get(kv.key)))
        for event in events:
            self._newest[event.kv.key] = None if event.is_delete else event.kv
        self._events[revision] = events
        return events

    @property
    def revision(self) -> int:
        return self._oracle.revision

    def wanted(self, interest: Interest, first: int, last: int) -> list[Event]:
        """What a watch must get of the revisions from first to last."""
        found = (self._events.get(revision, ()) for revision in range(first, last + 1))
        return [event for events in found for event in events if event.is_wanted(interest)]

    def next_wanted(self, interest: Interest, first: int) -> int:
        """The first revision, from `first` on, of an event that a watch must get; if none has one, the first not yet there."""
        for revision in range(first, self.revision + 1):
            if any(event.is_wanted(interest) for event in self._events.get(revision, ())):
                return revision
        return max(first, self.revision + 1)

    def check_delivery(
        self, who: str, interest: Interest, first: int, data: bytes, compacted_revision: int
    ) -> int:
        """A watch that has everything before `first` got events, at a node that compacted so far. Returns their last revision."""
        seen = watch_pb2.WatchResponse.FromString(data).events
        last = seen[-1].kv.mod_revision
        require(
            last <= self.revision, "Watches", f"{who} got revision {last}, which is not committed"
        )
        wanted = self.wanted(interest, first, last)
        places = [(event.revision, event.kv.key) for event in wanted]
        got = [(event.kv.mod_revision, event.kv.key) for event in seen]
        require(places == got, "Watches", f"{who} got {got}, from {first} on there were {places}")
        for event, told in zip(wanted, seen, strict=True):
            is_delete = told.type == kv_pb2.Event.DELETE
            if event.kv != told.kv or event.is_delete != is_delete:
                raise Violation("Watches", f"{who} got {told}, there was {event}")
            prev = told.prev_kv if told.HasField("prev_kv") else None
            may_lack = not interest.prev_kv or event.revision - 1 < compacted_revision
            if prev != event.prev and not (prev is None and may_lack):
                raise Violation("Watches", f"{who} got {prev} as before {event}")
            require(
                prev is None or interest.prev_kv, "Watches", f"{who} did not want the value before"
            )
        return last

    def check_progress(self, who: str, interest: Interest, first: int, revision: int) -> None:
        """A watch was told that it has everything up to `revision`."""
        missing = self.wanted(interest, first, revision)
        require(
            not missing,
            "Progress behind events",
            f"{who} was told of {revision} before the events of {[event.revision for event in missing]}",
        )

    def check_compacted(self, who: str, first: int, compacted_revision: int) -> None:
        """A watch was ended because what it needs is gone."""
        require(
            first < compacted_revision <= self._oracle.compacted_revision,
            "Watches",
            f"{who} at {first} was ended at {compacted_revision}, compacted is {self._oracle.compacted_revision}",
        )
