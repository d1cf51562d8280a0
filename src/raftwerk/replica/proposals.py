"""The clients' proposals, from the moment they arrive until each has exactly one answer.

    queued --Propose--> asked --Proposed--> placed --applied at (index, term)--> result
      ^                   |                   +--a later term there or before--> NOT_COMMITTED
      +--nothing was done-+                   +--deadline, place given out again,
                                                 or skipped by a snapshot----------> outcome unknown

A batch is what arrived between two steps; its commands stand next to each other in the log, so that it is settled
without a look-up for each.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from raftwerk.raft.effects import Proposed, Refusal, Refused
from raftwerk.raft.events import Propose
from raftwerk.raft.types import Entry, Index, Term
from raftwerk.replica.failure import Failure

_FAILURES: Final = {
    Refusal.OVERLOADED: Failure.OVERLOADED,
    Refusal.NO_SPACE: Failure.NO_SPACE,
    Refusal.OUTCOME_UNKNOWN: Failure.TIMED_OUT_LEADER_FAILED,
}
"""Refusals that end a proposal; after the others it waits for a leader."""

Done = Callable[[object], None]
"""Called once, on the loop, with the state machine's result or a Failure."""


@dataclass(slots=True)
class Batch:
    """Commands that travel together. deadline_ms: on the replica's clock, of the oldest of them."""

    commands: list[bytes]
    dones: list[Done]
    deadline_ms: int
    arrival: int
    """Counts the batches, so that one that must wait again takes its old place."""
    held_bytes: int
    """Of `commands`."""
    first_index: Index = 0
    term: Term = 0

    @property
    def last_index(self) -> Index:
        return self.first_index + len(self.dones) - 1

    def overlaps(self, other: "Batch") -> bool:
        """Whether both were given one index."""
        return self.first_index <= other.last_index and other.first_index <= self.last_index

    def fail(self, failure: Failure) -> None:
        for done in self.dones:
            done(failure)


class Proposals:
    """All proposals of this node that wait. Invariant: every `done` is called exactly once, or is still held here."""

    def __init__(self, timeout_ms: int, batch_bytes_max: int) -> None:
        self._timeout_ms = timeout_ms
        self._batch_bytes_max = batch_bytes_max
        self._queued: deque[Batch] = deque()
        """In order of arrival, and so of deadline_ms."""
        self._arrivals = count()
        self._queued_bytes = 0
        self._asked: dict[int, Batch] = {}
        self._placed: deque[Batch] = deque()
        """In order of first_index; they do not overlap, and nothing of them is applied."""
        self._applied_index: Index = 0
        self._applied_term: Term = 0
        self.waiting_count = 0
        self.held_bytes = 0
        """Of the commands that are not in the log yet."""
        self.failed_total = 0

    def add(self, command: bytes, done: Done, now_ms: int) -> None:
        """Take in one command."""
        queued = self._queued
        size = len(command)
        self.waiting_count += 1
        self.held_bytes += size
        if queued and self._queued_bytes + size <= self._batch_bytes_max:
            batch = queued[-1]
            batch.commands.append(command)
            batch.dones.append(done)
            batch.held_bytes += size
            self._queued_bytes += size
        else:
            deadline_ms = now_ms + self._timeout_ms
            queued.append(Batch([command], [done], deadline_ms, next(self._arrivals), size))
            self._queued_bytes = size

    @property
    def has_queued(self) -> bool:
        return bool(self._queued)

    def take_queued(self, next_request: Callable[[], int]) -> list[Propose]:
        """Everything that is queued, as events for the core."""
        events = []
        while self._queued:
            batch = self._queued.popleft()
            request = next_request()
            self._asked[request] = batch
            events.append(Propose(request, batch.commands))
        self._queued_bytes = 0
        return events

    def fail_queued(self, failure: Failure) -> None:
        """Nothing was done for any of these: say so."""
        while self._queued:
            self._fail(self._queued.popleft(), failure)

    def on_proposed(self, proposed: Proposed) -> None:
        """A batch has its place in the log."""
        batch = self._asked.pop(proposed.request)
        assert proposed.count == len(batch.dones)
        batch.first_index = proposed.first_index
        batch.term = proposed.term
        self._let_go(batch)  # the log has them
        placed = self._placed
        if batch.first_index <= self._applied_index:
            self._fail(batch, Failure.TIMED_OUT)  # answered late: what was applied there is gone
        elif batch.term < self._applied_term:
            self._fail(batch, Failure.NOT_COMMITTED)
        elif placed and placed[-1].last_index >= batch.first_index:
            self._overtake(batch)
        else:
            placed.append(batch)

    def _overtake(self, batch: Batch) -> None:
        """A newer leader gave out indexes again. What an older one put there may yet be committed by a third (Figure 8)."""
        rivals = [other for other in self._placed if other.overlaps(batch)]
        if any(other.term >= batch.term for other in rivals):
            self._fail(batch, Failure.TIMED_OUT_LEADER_FAILED)
            return
        self._placed = deque(other for other in self._placed if not other.overlaps(batch))
        insort(self._placed, batch, key=lambda placed: placed.first_index)
        for other in rivals:
            self._fail(other, Failure.TIMED_OUT_LEADER_FAILED)

    def on_refused(self, refused: Refused) -> bool:
        """A batch did not get its place. Returns False if the request is not one of these."""
        batch = self._asked.pop(refused.request, None)
        if batch is None:
            return False
        failure = _FAILURES.get(refused.refusal)
        if failure is not None:
            self._fail(batch, failure)
        else:  # nothing was done: wait for a leader, in the old place
            insort(self._queued, batch, key=lambda queued: queued.arrival)
            self._queued_bytes = self._batch_bytes_max
        return True

    def on_applied(self, entries: Sequence[Entry], results: Sequence[object]) -> None:
        """Entries were executed; results holds one for each of them."""
        placed = self._placed
        first, last = entries[0].index, entries[-1].index
        while placed and placed[0].first_index <= last:
            batch = placed[0]
            assert batch.first_index >= first
            start = batch.first_index - first
            count = min(len(batch.dones), last - batch.first_index + 1)
            kept = count
            while kept and entries[start + kept - 1].term != batch.term:
                kept -= 1  # terms never fall along the log: only an end of the batch can have been replaced
            for done, result in zip(batch.dones, results[start : start + kept], strict=False):
                done(result)
            for done in batch.dones[kept:count]:
                done(Failure.NOT_COMMITTED)
            self.failed_total += count - kept
            self.waiting_count -= count
            if count == len(batch.dones):
                placed.popleft()
            else:
                del batch.dones[:count]
                batch.first_index += count
        self._applied_index = last
        if entries[-1].term != self._applied_term:
            self._applied_term = entries[-1].term
            self._fail_older_terms()

    def _fail_older_terms(self) -> None:
        """Terms never fall along the log: what an older leader placed after this term is in no log to come.

        Nothing may ever be put in that place, so nobody else would tell.
        """
        older = [batch for batch in self._placed if batch.term < self._applied_term]
        if older:
            self._placed = deque(b for b in self._placed if b.term >= self._applied_term)
        for batch in older:
            self._fail(batch, Failure.NOT_COMMITTED)

    def on_snapshot(self, last_included_index: Index) -> None:
        """The state jumped ahead: what happened to the places in between is not known here."""
        self._applied_index = last_included_index
        while self._placed and self._placed[0].first_index <= last_included_index:
            self._fail(self._placed.popleft(), Failure.TIMED_OUT)

    def expire(self, now_ms: int, *, has_leader: bool) -> None:
        """Answer what has waited too long."""
        lost = Failure.TIMED_OUT if has_leader else Failure.TIMED_OUT_CONNECTION_LOST
        expired = [batch for batch in self._placed if batch.deadline_ms <= now_ms]
        if expired:
            self._placed = deque(batch for batch in self._placed if batch.deadline_ms > now_ms)
        for batch in expired:
            self._fail(batch, lost)
        while self._queued and self._queued[0].deadline_ms <= now_ms:
            self._fail(self._queued.popleft(), Failure.NO_LEADER)

    def fail_all(self) -> None:
        """The node stops."""
        self.fail_queued(Failure.STOPPED)
        for batch in [*self._asked.values(), *self._placed]:
            self._fail(batch, Failure.TIMED_OUT)
        self._asked.clear()
        self._placed.clear()

    def _let_go(self, batch: Batch) -> None:
        self.held_bytes -= batch.held_bytes
        batch.commands, batch.held_bytes = [], 0

    def _fail(self, batch: Batch, failure: Failure) -> None:
        self._let_go(batch)
        self.waiting_count -= len(batch.dones)
        self.failed_total += len(batch.dones)
        batch.fail(failure)
