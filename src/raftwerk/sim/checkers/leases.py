"""Leases and locks: no lease ends before its time, none by the word of a deposed leader; no lock has two holders.

A small model of what the commands in the log mean stands beside the machine: it knows no row and no table, only the rules.
Time is the world's. Clocks of nodes go at most DRIFT_PPM_MAX fast, and by so much a lease may end early, but no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from raftwerk.kv.commands import (
    LeaseCheckpoint,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
)
from raftwerk.kv.lease import Leases
from raftwerk.sim.checkers import Violation, require
from raftwerk.sim.checkers.events import Event
from raftwerk.sim.clock import DRIFT_PPM_MAX
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.world import World

FASTEST: Final = 1_000_000 + DRIFT_PPM_MAX


def sure_us(ttl_us: int) -> int:
    """How long a lease lasts even by the fastest clock."""
    return ttl_us * 1_000_000 // FASTEST


@dataclass(slots=True)
class _Lease:
    """since_us: when its grant, or last renewal, was committed. left_us: what it had then."""

    number: int
    ttl_s: int
    since_us: int
    left_us: int


class LeaseSafety:
    """Sees every committed command about leases."""

    def __init__(self, world: World, leases: Leases, coverage: Coverage) -> None:
        """leases: the oracle's, which must agree with the model."""
        self._world = world
        self._leases = leases
        self._coverage = coverage
        self._model: dict[int, _Lease] = {}
        self._lease_of: dict[bytes, int] = {}
        """Of the keys whose newest version is under a lease."""
        self._number = 0
        self._term = 0
        self._holders: dict[bytes, tuple[int, int]] = {}
        """Of locks: who, and until when it believes so."""

    @property
    def is_empty(self) -> bool:
        return not self._model

    def on_applied(self, command: LeaseCommand) -> None:
        touched: list[int] = []
        if isinstance(command, LeaseGrant):
            if command.lease_id not in self._model:
                self._set(command.lease_id, command.ttl_s)
            touched.append(command.lease_id)
        elif isinstance(command, LeaseRenew):
            known = self._model.get(command.lease_id)
            if known is not None:
                self._coverage.mark("lease: renewed")
                self._set(command.lease_id, known.ttl_s)
            touched.append(command.lease_id)
        elif isinstance(command, LeaseRevoke):
            if self._model.pop(command.lease_id, None) is not None:
                self._coverage.mark("lease: revoked")
            touched.append(command.lease_id)
        elif isinstance(command, LeaseExpire):
            self._on_expire(command)
            touched += [lease_id for lease_id, _ in command.leases]
        elif isinstance(command, LeaseCheckpoint):
            self._on_checkpoint(command)
        else:
            assert isinstance(command, LeaseLead)
            self._term = max(self._term, command.term)
            self._coverage.mark("lease: led")
        for lease_id in touched:
            self._compare(lease_id)

    def on_written(self, events: Sequence[Event]) -> None:
        """The events of a command, which may be about to end leases: their keys are gone already."""
        touched: set[int] = set()
        for event in events:
            key, lease_id = event.kv.key, event.kv.lease
            touched |= {lease_id, self._lease_of.pop(key, 0)}
            if lease_id:
                self._lease_of[key] = lease_id
        for lease_id in sorted(touched - {0}):
            keys = sorted([key for key, its in self._lease_of.items() if its == lease_id])
            found = self._leases.keys(lease_id)
            text = f"{found} are attached to lease {lease_id}, the keys under it are {keys}"
            require(found == keys, "Lease safety", text)
            require(
                not keys or lease_id in self._model,
                "Lease safety",
                f"{keys} are under lease {lease_id}, which is over",
            )

    def _set(self, lease_id: int, ttl_s: int) -> None:
        self._number += 1
        self._model[lease_id] = _Lease(self._number, ttl_s, self._world.now_us, ttl_s * 1_000_000)

    def _on_expire(self, command: LeaseExpire) -> None:
        if command.term != self._term:
            self._coverage.mark("lease: a deposed leader's end refused")
            return
        for lease_id, number in command.leases:
            lease = self._model.get(lease_id)
            if lease is None or lease.number != number:
                self._coverage.mark("lease: renewed before its end came")
                continue
            lived_us = self._world.now_us - lease.since_us
            require(
                lived_us >= sure_us(lease.left_us),
                "Lease safety",
                f"lease {lease_id} of {lease.ttl_s} s ended {lived_us / 1e6:.3f} s after its last renewal",
            )
            del self._model[lease_id]
            self._coverage.mark("lease: expired")

    def _on_checkpoint(self, command: LeaseCheckpoint) -> None:
        if command.term != self._term:
            return
        for lease_id, number, remaining_s in command.leases:
            lease = self._model.get(lease_id)
            if lease is not None and lease.number == number:
                self._coverage.mark("lease: checkpointed")
                sure_left_us = max(0, lease.left_us - (self._world.now_us - lease.since_us))
                lease.since_us = self._world.now_us
                lease.left_us = min(sure_left_us, remaining_s * 1_000_000)

    def _compare(self, lease_id: int) -> None:
        known, found = self._model.get(lease_id), self._leases.find(lease_id)
        is_equal = (known is None) == (found is None)
        if known is None and self._leases.keys(lease_id):
            raise Violation("Lease safety", f"lease {lease_id} is over, its keys are still there")
        if known is not None and found is not None:
            is_equal = (known.ttl_s, known.number) == (found.ttl_s, found.number)
        if not is_equal:
            raise Violation(
                "Lease safety",
                f"lease {lease_id} is {found}, the commands in the log make it {known}",
            )

    # Locks

    def on_locked(self, name: bytes, client: int, until_us: int) -> None:
        """A client believes that it holds a lock until then, if nothing else comes."""
        holder, holds_until_us = self._holders.get(name, (client, 0))
        require(
            holder == client or holds_until_us <= self._world.now_us,
            "Mutual exclusion",
            f"client {client} got lock {name!r}, which client {holder} holds until {holds_until_us} us",
        )
        self._holders[name] = client, until_us
        self._coverage.mark("lock: held")

    def on_unlocked(self, name: bytes, client: int) -> None:
        """The client no longer believes so."""
        if self._holders.get(name, (0, 0))[0] == client:
            del self._holders[name]
