"""The checker of leases notices one that ends early, or by the wrong word, and a lock with two holders."""

import pytest

from raftwerk.kv.commands import (
    LeaseCheckpoint,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    LeaseRevoke,
    Put,
    encode,
)
from raftwerk.kv.lease import lease_row
from raftwerk.kv.store import Table
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.events import WatchedEvents
from raftwerk.sim.checkers.leases import LeaseSafety, sure_us
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.sim.world import World
from raftwerk.storage.memory import MemoryStore

GRANT = LeaseGrant(1, 10)


class Setting:
    def __init__(self) -> None:
        self.world = World(1)
        self.machine = SimKvMachine(MemoryStore())
        self.checker = LeaseSafety(self.world, self.machine.leases, Coverage())

    def apply(self, *commands: LeaseCommand) -> None:
        for command in commands:
            self.machine.apply([encode(command)], 1, b"")
            self.checker.on_applied(command)

    def put(self, key: bytes, lease: int) -> None:
        """The machine does it, and the checker is told of it."""
        self.machine.apply([encode(Put(key, b"v", lease=lease))], 1, b"")
        self.tell()

    def tell(self) -> None:
        """The checker is told of what was written last."""
        events = WatchedEvents(self.machine).on_revision(self.machine.revision)
        self.checker.on_written(events)

    def wait_us(self, duration_us: int) -> None:
        self.world.run_until(self.world.now_us + duration_us)


def test_leases_end_when_their_time_is_over() -> None:
    setting = Setting()
    setting.apply(LeaseLead(3), GRANT, LeaseRenew(1))
    setting.wait_us(sure_us(10_000_000))
    setting.apply(LeaseExpire(3, ((1, 1),)), LeaseExpire(2, ((1, 2),)))
    assert not setting.checker.is_empty, "one renewal too old, one leader too old"
    setting.apply(LeaseExpire(3, ((1, 2),)))
    assert setting.checker.is_empty


def test_a_lease_that_ends_early() -> None:
    setting = Setting()
    setting.apply(LeaseLead(3), GRANT)
    setting.wait_us(sure_us(10_000_000) - 1)
    with pytest.raises(Violation, match="after its last renewal"):
        setting.apply(LeaseExpire(3, ((1, 1),)))


def test_a_checkpoint_tells_no_less_than_what_is_left() -> None:
    setting = Setting()
    setting.apply(LeaseLead(3), GRANT)
    setting.wait_us(8_000_000)
    setting.apply(LeaseCheckpoint(3, ((1, 1, 1),)))
    setting.wait_us(1_000_000)
    setting.apply(LeaseExpire(3, ((1, 1),)))
    assert setting.checker.is_empty


@pytest.mark.parametrize("command", [LeaseRenew(1), LeaseGrant(1, 20), LeaseExpire(0, ((1, 1),))])
def test_a_machine_that_sees_it_otherwise(command: LeaseCommand) -> None:
    setting = Setting()
    setting.apply(GRANT)
    setting.wait_us(10_000_000)
    setting.machine.apply([encode(LeaseRevoke(1))], 1, b"")
    if isinstance(command, LeaseExpire):
        setting.apply(command)
        return
    with pytest.raises(Violation, match="the commands in the log make it"):
        setting.checker.on_applied(command)


def test_keys_are_attached_to_the_lease_that_their_newest_version_names() -> None:
    setting = Setting()
    setting.apply(GRANT, LeaseGrant(2, 10))
    for key, lease in ((b"a", 1), (b"b", 1), (b"a", 2), (b"b", 0), (b"b", 2), (b"a", 2)):
        setting.put(key, lease)
    setting.machine.apply([encode(LeaseRevoke(2))], 1, b"")
    setting.tell()
    setting.checker.on_applied(LeaseRevoke(2))


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_key_that_is_attached_otherwise(is_kept: bool) -> None:
    setting = Setting()
    setting.apply(GRANT, LeaseGrant(2, 10))
    setting.put(b"a", 1)
    store = setting.machine.store
    if is_kept:
        setting.machine.apply([encode(Put(b"a", b"v", lease=2))], 1, b"")
        store.put(Table.LEASE_KEYS, lease_row(1) + b"a", b"")
    else:
        store.delete(Table.LEASE_KEYS, lease_row(1) + b"a")
    with pytest.raises(Violation, match="attached to lease 1, the keys under it are"):
        setting.tell()


def test_a_key_under_a_lease_that_is_over() -> None:
    setting = Setting()
    setting.machine.apply([encode(LeaseGrant(2, 10))], 1, b"")
    with pytest.raises(Violation, match="under lease 2, which is over"):
        setting.put(b"a", 2)


def test_a_lock_has_one_holder() -> None:
    setting = Setting()
    locks = setting.checker
    locks.on_locked(b"lock", 1, 100)
    locks.on_locked(b"lock", 1, 200)
    with pytest.raises(Violation, match="client 2 got lock"):
        locks.on_locked(b"lock", 2, 300)
    locks.on_unlocked(b"lock", 2)
    locks.on_unlocked(b"lock", 1)
    locks.on_locked(b"lock", 2, 300)
    setting.wait_us(300)
    locks.on_locked(b"lock", 1, 400)
