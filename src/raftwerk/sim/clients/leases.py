"""Clients with leases: they hold a key or a lock under one, renew it for a while, and give it back or let it end.

A client counts from the moment when it sent the renewal that was answered last, as raftwerk.client does. It knows that the
servers' clocks may be fast, so it believes in its lease for as long as that allows.
"""

from typing import Final

from raftwerk.kv.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    LeaseGrant,
    LeaseRenew,
    LeaseRevoke,
    Put,
    Txn,
    encode,
)
from raftwerk.kv.results import KvError, LeaseResult, TxnResult
from raftwerk.sim.checkers.leases import sure_us
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster

TTLS_S: Final = (1, 2, 3)
LOCKS: Final = (b"lock/a", b"lock/b")


class LeaseClient(Caller):
    """One lease after the other."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, f"lease client {number}")
        self._number = number
        self._count = 0
        self._lease_id = 0
        self._ttl_s = 0
        self._until_us = 0
        """The lease lives at least until then."""
        self._lock = b""
        self._renewals_left = 0

    def next(self) -> None:
        """A new lease."""
        self._count += 1
        self._lease_id = self._number * 1_000_000 + self._count
        self._ttl_s = self.random.choice(TTLS_S)
        self._lock = b""
        self._renewals_left = self.random.randrange(8)
        sent_us = self.cluster.world.now_us

        def granted(result: object) -> None:
            if isinstance(result, LeaseResult):
                self._believe(sent_us)
                self._use()
            else:
                self.pause(self.random.randrange(300_000), self.next)

        self.send(encode(LeaseGrant(self._lease_id, self._ttl_s)), granted)

    def _believe(self, sent_us: int) -> None:
        self._until_us = sent_us + sure_us(self._ttl_s * 1_000_000)
        if self._lock and self.cluster.world.now_us < self._until_us:
            self.cluster.kv.leases.on_locked(self._lock, self._number, self._until_us)

    def _use(self) -> None:
        """Hold a key, or try to get a lock."""
        mine = b"%d-%d" % (self._number, self._count)
        if self.random.random() < 0.4:
            put = Put(b"lease/%d" % self._number, mine, lease=self._lease_id)
            self.send(encode(put), lambda _: self._renew_later())
            return
        lock = self.random.choice(LOCKS)
        is_free = Compare(CompareTarget.CREATE, CompareResult.EQUAL, lock, 0)
        take = Txn((is_free,), (Put(lock, mine, lease=self._lease_id),))

        def tried(result: object) -> None:
            has_it = isinstance(result, TxnResult) and result.succeeded
            if has_it and self.cluster.world.now_us < self._until_us:
                self._lock = lock
                self.cluster.kv.leases.on_locked(lock, self._number, self._until_us)
            self._renew_later()

        self.send(encode(take), tried)

    def _renew_later(self) -> None:
        if self._renewals_left:
            self._renewals_left -= 1
            self.pause(self._ttl_s * self.random.randrange(200_000, 500_000), self._renew)
        elif self.random.random() < 0.5:
            self.pause(self.random.randrange(500_000), self._revoke)
        else:
            self.pause(self._ttl_s * 2_000_000, self.next)

    def _renew(self) -> None:
        sent_us = self.cluster.world.now_us

        def renewed(result: object) -> None:
            if result is KvError.LEASE_NOT_FOUND:
                self.next()
                return
            if isinstance(result, LeaseResult):
                self._believe(sent_us)
            self._renew_later()

        self.send(encode(LeaseRenew(self._lease_id)), renewed)

    def _revoke(self) -> None:
        if self._lock:
            self.cluster.kv.leases.on_unlocked(self._lock, self._number)
            self._lock = b""
        command = encode(LeaseRevoke(self._lease_id))
        self.send(command, lambda _: self.pause(self.random.randrange(200_000), self.next))
