"""The clients' linearizable reads: each waits for a read index, then for the state machine to reach it (thesis 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass

from raftwerk.raft.effects import ReadReady, Refused
from raftwerk.raft.events import Read
from raftwerk.raft.types import Index
from raftwerk.replica.failure import Failure

ReadDone = Callable[[Failure | None], None]
"""Called once, on the loop: None when the state machine may be read now."""


@dataclass(slots=True)
class ReadBatch:
    """Reads that arrived between two steps. deadline_ms: on the replica's clock, of the oldest of them."""

    dones: list[ReadDone]
    deadline_ms: int
    read_index: Index = 0


class Reads:
    """All reads of this node that wait. Invariant: every `done` is called exactly once, or is still held here."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._queued: list[ReadBatch] = []
        self._is_open = False
        """Whether the last queued batch takes more."""
        self._asked: dict[int, ReadBatch] = {}
        self._waiting: list[ReadBatch] = []
        """For the state machine, in order of arrival."""
        self.waiting_count = 0

    def add(self, done: ReadDone, now_ms: int) -> None:
        """Take in one read."""
        self.waiting_count += 1
        if not self._is_open:
            self._queued.append(ReadBatch([], now_ms + self._timeout_ms))
            self._is_open = True
        self._queued[-1].dones.append(done)

    @property
    def has_queued(self) -> bool:
        return bool(self._queued)

    def take_queued(self, next_request: Callable[[], int]) -> list[Read]:
        """Everything that is queued, as events for the core."""
        events = []
        for batch in self._queued:
            request = next_request()
            self._asked[request] = batch
            events.append(Read(request))
        self._queued.clear()
        self._is_open = False
        return events

    def on_ready(self, ready: ReadReady) -> None:
        """The index to wait for is known. (For nobody, if it took longer than the deadline.)"""
        batch = self._asked.pop(ready.request, None)
        if batch is not None:
            batch.read_index = ready.read_index
            self._waiting.append(batch)

    def on_refused(self, refused: Refused) -> bool:
        """No index was to be had: try again until the deadline, because a read that is repeated does no harm.

        Returns False if the request is not one of these (any more).
        """
        batch = self._asked.pop(refused.request, None)
        if batch is None:
            return False
        self._queued.append(batch)
        self._is_open = False
        return True

    def release(self, last_applied: Index) -> None:
        """The state machine is at last_applied: answer the reads that waited for it."""
        if not self._waiting:
            return
        ready = [batch for batch in self._waiting if batch.read_index <= last_applied]
        if ready:
            self._waiting = [batch for batch in self._waiting if batch.read_index > last_applied]
            for batch in ready:
                self._settle(batch, None)

    def expire(self, now_ms: int, *, has_leader: bool) -> None:
        """Answer what has waited too long."""
        failure = Failure.TIMED_OUT if has_leader else Failure.NO_LEADER
        late = [request for request, batch in self._asked.items() if batch.deadline_ms <= now_ms]
        expired = [self._asked.pop(request) for request in late]
        for group in (self._queued, self._waiting):
            if any(batch.deadline_ms <= now_ms for batch in group):
                expired += [batch for batch in group if batch.deadline_ms <= now_ms]
                group[:] = [batch for batch in group if batch.deadline_ms > now_ms]
                self._is_open = False
        for batch in expired:
            self._settle(batch, failure)

    def fail_all(self) -> None:
        """The node stops."""
        batches = [*self._queued, *self._asked.values(), *self._waiting]
        self._queued.clear()
        self._asked.clear()
        self._waiting.clear()
        self._is_open = False
        for batch in batches:
            self._settle(batch, Failure.STOPPED)

    def _settle(self, batch: ReadBatch, failure: Failure | None) -> None:
        self.waiting_count -= len(batch.dones)
        for done in batch.dones:
            done(failure)
