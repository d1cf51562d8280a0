"""What the key-value machine keeps besides versions is compared at equal indexes."""

import pytest

from raftwerk.kv.auth_commands import RoleAdd
from raftwerk.kv.commands import LeaseGrant, Put, SessionOpen, encode
from raftwerk.kv.store import Table
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.key_value import KvChecks
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.sim.world import World
from raftwerk.storage.memory import MemoryStore

LOG = (LeaseGrant(1, 10), SessionOpen(5), RoleAdd("r"), Put(b"k", b"v", lease=1))


def followed(oracle: SimKvMachine | None = None) -> KvChecks:
    oracle = oracle or SimKvMachine(MemoryStore())
    checks = KvChecks(World(1), Coverage(), oracle)
    for index, command in enumerate(LOG, 1):
        data = encode(command)
        (result,) = oracle.apply([data], index, b"oracle")
        checks.on_applied(Entry(index, 1, EntryKind.COMMAND, data), result)
    checks.on_applied(Entry(len(LOG) + 1, 1, EntryKind.NO_OP, b""), None)
    return checks


def machine_at(index: int, log: tuple[object, ...] = LOG) -> SimKvMachine:
    machine = SimKvMachine(MemoryStore())
    for place in range(index):
        machine.apply([encode(log[place])], place + 1, Position(place + 1, 1, b"{}").encode())
    return machine


def test_equal_at_every_index() -> None:
    checks = followed()
    for index in range(len(LOG) + 1):
        checks.check_state(1, machine_at(index))


@pytest.mark.parametrize("place", range(len(LOG)))
def test_a_machine_that_misses_something(place: int) -> None:
    other = tuple(Put(b"x", b"y") if at == place else command for at, command in enumerate(LOG))
    with pytest.raises(Violation, match="other leases, sessions or users"):
        followed().check_state(1, machine_at(len(LOG), other))


class Detached(MemoryStore):
    """Loses which keys are attached to leases."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        if table is not Table.LEASE_KEYS:
            super().put(table, key, value)


def test_a_lease_that_lost_its_key() -> None:
    with pytest.raises(Violation, match="are attached to lease 1"):
        followed(SimKvMachine(Detached()))


def test_only_retries_and_leases_may_stand_twice() -> None:
    checks = followed()
    assert [checks.may_repeat(encode(command)) for command in LOG] == [True, True, False, False]
