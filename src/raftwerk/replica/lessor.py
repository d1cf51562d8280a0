"""The time of leases: what every member measures, and what the leader does about it.

A lease's deadline is the moment when this member applied its grant or last renewal, plus what was granted: never before the
moment from which its owner counts. Members that lag have later deadlines; none has an earlier one.

The leader proposes the end of leases whose deadline is over, and writes down from time to time how much of the long ones is
left. Neither before its own term stands in the machine's state (kv.lease.LeaseLead): then it is the leader for sure, and
what an earlier one still proposes comes to nothing.

All work is done in small pieces, a hundred thousand leases or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import islice
from math import ceil
from typing import Final, Protocol

from raftwerk.kv.commands import LeaseCheckpoint, LeaseExpire, LeaseLead, encode
from raftwerk.kv.lease import Lease, Leases
from raftwerk.replica.failure import Failure

EXPIRY_INTERVAL_S: Final = 0.1
EXPIRIES_MAX: Final = 100
"""Leases that end by one command, one command an interval: 1,000 a second."""
CHECKPOINT_INTERVAL_S: Final = 300.0
CHECKPOINTS_MAX: Final = 200
"""Leases in one command."""
RETRY_S: Final = 1.0
AWAY_S: Final = 0.5
"""A member that was not heard for so long, by itself, lets the owners renew before it ends anything."""
GRACE_S: Final = 1.0
"""For owners to find the new leader, with an election timeout: clients try again twice a second."""
LOADED_MAX: Final = 200
"""Leases read from the store in one tick."""
MOVED_MAX: Final = 500
"""Entries of the heap looked at in one tick."""
SPARE_ENTRIES: Final = 1_000

Propose = Callable[[bytes, Callable[[object], None]], None]


class Machine(Protocol):
    """What is needed of kv.machine.KvMachine."""

    leases: Leases
    restores: int


@dataclass(slots=True)
class _Clock:
    """One lease. due_s: of its entry in the heap, which may lie before the deadline: renewals leave the heap alone."""

    number: int = 0
    deadline_s: float = 0.0
    due_s: float = 0.0


class Lessor:
    """See the module's text. now_s: a clock that never goes back, and goes on while this process is stopped."""

    def __init__(
        self, machine: Machine, propose: Propose, now_s: Callable[[], float], grace_s: float
    ) -> None:
        """grace_s: for how long a new leader ends no lease."""
        self._machine = machine
        self._propose = propose
        self._now_s = now_s
        self._grace_s = grace_s
        self._clocks: dict[int, _Clock] = {}
        self._heap: list[tuple[float, int]] = []
        """(due_s, lease id): one valid entry for each lease, but for those that are over; and some that are not valid."""
        self._over: dict[int, None] = {}
        """Leases whose deadline was over when it was looked at, in order."""
        self._before: dict[int, _Clock] = {}
        """While the leases of a restored state are read: those known before."""
        self._loaded_to: int | None = None
        self._is_loading = True
        self._restores = machine.restores
        self._term = 0
        self._is_confirmed = False
        self._quiet_until_s = 0.0
        self._ticked_s = now_s()
        self._next_lead_s = self._next_expiry_s = self._next_checkpoint_s = 0.0
        self._is_expiring = self._is_checkpointing = False
        self._to_checkpoint: list[int] = []
        machine.leases.on_change = self._on_change

    # What every member knows

    def remaining_s(self, lease_id: int) -> float | None:
        """How long a lease lives by this member's clock, if it is not renewed; below 0 if it is over. None: no such lease."""
        lease = self._machine.leases.find(lease_id)
        if lease is None:
            return None
        clock = self._clocks.get(lease_id) or self._before.get(lease_id)
        if clock is None:  # not read yet
            return float(lease.remaining_s or lease.ttl_s)
        return clock.deadline_s - self._now_s()

    def _on_change(self, lease_id: int, lease: Lease | None) -> None:
        if lease is None:
            for known in (self._clocks, self._before, self._over):
                known.pop(lease_id, None)
            return
        deadline_s = self._now_s() + (lease.remaining_s or lease.ttl_s)
        clock = self._clocks.get(lease_id)
        is_new = clock is None
        clock = clock or self._before.pop(lease_id, None)
        if clock is not None and clock.number == lease.number:
            # Not renewed: a checkpoint of the leader's, who may know better, or a restored state that has it too
            deadline_s = min(deadline_s, clock.deadline_s)
        if is_new:
            clock = self._clocks[lease_id] = _Clock()
        assert clock is not None
        clock.number = lease.number
        clock.deadline_s = deadline_s
        if is_new or deadline_s < clock.due_s:
            self._enter(lease_id, clock)

    def _enter(self, lease_id: int, clock: _Clock) -> None:
        """Into the heap, at the deadline."""
        clock.due_s = clock.deadline_s
        heappush(self._heap, (clock.due_s, lease_id))
        if len(self._heap) > 2 * len(self._clocks) + SPARE_ENTRIES:
            self._heap = [(one.due_s, key) for key, one in self._clocks.items()]
            heapify(self._heap)

    def _load(self) -> None:
        """Read some leases of a state that is new here."""
        leases, self._loaded_to = self._machine.leases.some(self._loaded_to, LOADED_MAX)
        for lease_id, lease in leases:
            if lease_id not in self._clocks:
                self._on_change(lease_id, lease)
        if self._loaded_to is None:
            self._is_loading = False
            self._before.clear()

    def _begin_anew(self) -> None:
        """A snapshot replaced the state."""
        self._restores = self._machine.restores
        self._before |= self._clocks
        self._clocks, self._heap, self._over, self._to_checkpoint = {}, [], {}, []
        self._is_loading, self._loaded_to = True, None

    # What the leader does

    def tick(self, leading_term: int) -> None:
        """Some milliseconds went by. leading_term: the term in which this member leads; 0: it does not."""
        now_s = self._now_s()
        if self._restores != self._machine.restores:
            self._begin_anew()
        if self._is_loading:
            self._load()
        if now_s - self._ticked_s >= AWAY_S:
            self._quiet_until_s = now_s + self._grace_s
        self._ticked_s = now_s
        if leading_term != self._term:
            self._term, self._is_confirmed, self._next_lead_s = leading_term, False, now_s
            self._is_expiring = self._is_checkpointing = False
        if not leading_term:
            return
        if self._machine.leases.term != leading_term:
            self._lead(now_s)
            return
        if not self._is_confirmed:
            self._is_confirmed = True
            self._quiet_until_s = now_s + self._grace_s
            self._next_checkpoint_s = now_s + CHECKPOINT_INTERVAL_S
        self._look_for_the_over(now_s)
        if now_s >= max(self._next_expiry_s, self._quiet_until_s):
            self._next_expiry_s = now_s + EXPIRY_INTERVAL_S
            self._expire(now_s)
        self._checkpoint(now_s)

    def _lead(self, now_s: float) -> None:
        if now_s >= self._next_lead_s:
            self._next_lead_s = now_s + RETRY_S
            self._propose(encode(LeaseLead(self._term)), lambda _: None)

    def _look_for_the_over(self, now_s: float) -> None:
        heap = self._heap
        for _ in range(MOVED_MAX):
            if not heap or heap[0][0] > now_s:
                return
            due_s, lease_id = heappop(heap)
            clock = self._clocks.get(lease_id)
            if clock is None or clock.due_s != due_s:
                continue
            if clock.deadline_s > now_s:
                self._enter(lease_id, clock)
            else:
                self._over[lease_id] = None

    def _expire(self, now_s: float) -> None:
        if self._is_expiring:
            return
        leases = []
        for lease_id in list(islice(self._over, EXPIRIES_MAX)):
            clock = self._clocks[lease_id]
            if clock.deadline_s > now_s:  # renewed in the meantime
                del self._over[lease_id]
                self._enter(lease_id, clock)
            else:
                leases.append((lease_id, clock.number))
        if leases:
            self._is_expiring = True
            command = LeaseExpire(self._term, tuple(leases))
            self._propose(encode(command), self._on_expired)

    def _on_expired(self, result: object) -> None:
        # What it ended is no longer among those that are over; the others are looked at again
        self._is_expiring = False
        if isinstance(result, Failure):  # nobody could renew either
            self._quiet_until_s = self._now_s() + self._grace_s

    def _checkpoint(self, now_s: float) -> None:
        if now_s >= self._next_checkpoint_s:
            self._next_checkpoint_s = now_s + CHECKPOINT_INTERVAL_S
            self._to_checkpoint = list(self._clocks)
        if not self._to_checkpoint or self._is_checkpointing:
            return
        some = self._to_checkpoint[-CHECKPOINTS_MAX:]
        del self._to_checkpoint[-CHECKPOINTS_MAX:]
        leases = []
        for lease_id in some:
            lease, clock = self._machine.leases.find(lease_id), self._clocks.get(lease_id)
            if lease is not None and clock is not None and lease.ttl_s > CHECKPOINT_INTERVAL_S:
                left_s = max(1, ceil(clock.deadline_s - now_s))
                if left_s != (lease.remaining_s or lease.ttl_s):
                    leases.append((lease_id, clock.number, left_s))
        if leases:
            self._is_checkpointing = True
            command = LeaseCheckpoint(self._term, tuple(leases))
            self._propose(encode(command), self._on_checkpointed)

    def _on_checkpointed(self, _: object) -> None:
        self._is_checkpointing = False
