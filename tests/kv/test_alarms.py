"""Alarms: what is refused while one is raised, and that it outlasts everything but its end."""

from pathlib import Path

import pytest

from raftwerk.kv.alarms import adds_data
from raftwerk.kv.commands import (
    AlarmKind,
    AlarmSet,
    Command,
    Compact,
    DeleteRange,
    HashCheck,
    LeaseCommand,
    LeaseExpire,
    LeaseGrant,
    LeaseRevoke,
    PublishMember,
    Put,
    RangeQuery,
    SessionOpenAs,
    SessionWrite,
    Txn,
    Write,
    encode,
)
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import AlarmResult, KvError, Result
from raftwerk.storage.lmdb_store import LmdbStore
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete

NO_SPACE, CORRUPT = AlarmKind.NO_SPACE, AlarmKind.CORRUPT


class Machine:
    """A machine that executes commands one by one."""

    def __init__(self, store: LmdbStore | MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.machine = KvMachine(self.store)
        self._index = 0

    def execute(self, command: Command) -> Result:
        self._index += 1
        position = self._index.to_bytes(8, "big")
        (result,) = self.machine.apply([encode(command)], self._index, position)
        return result

    def set(self, kind: AlarmKind, node_id: int = 1, *, is_raised: bool = True) -> Result:
        return self.execute(AlarmSet(kind, node_id, is_raised))


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.execute(Put(b"a", b"1"))
    machine.execute(LeaseGrant(7, 60))
    return machine


PUT = Put(b"a", b"2")
NESTED = Txn((), (Txn((), (), (PUT,)),))
GROWING: list[Write | LeaseCommand] = [PUT, Txn((), (PUT,)), Txn((), (), (PUT,)), NESTED]
SHRINKING: list[Write | LeaseCommand] = [
    DeleteRange(b"a"),
    Txn((), (DeleteRange(b"a"), RangeQuery(b"a")), (Txn(),)),
    Compact(2),
]


@pytest.mark.parametrize("command", [*GROWING, LeaseGrant(9, 60)], ids=repr)
def test_what_adds_data_is_refused_without_space(
    machine: Machine, command: Write | LeaseCommand
) -> None:
    assert adds_data(command)
    machine.set(NO_SPACE)
    revision = machine.machine.revision
    assert machine.execute(command) is KvError.NO_SPACE
    assert machine.machine.revision == revision


@pytest.mark.parametrize("command", [*SHRINKING, LeaseRevoke(7)], ids=repr)
def test_what_makes_space_is_not_refused(machine: Machine, command: Write | LeaseCommand) -> None:
    assert not adds_data(command)
    machine.set(NO_SPACE)
    assert not isinstance(machine.execute(command), KvError)


@pytest.mark.parametrize(
    "command", [*GROWING, *SHRINKING, LeaseGrant(9, 60), LeaseRevoke(7)], ids=repr
)
def test_every_write_is_refused_when_data_are_corrupt(
    machine: Machine, command: Write | LeaseCommand
) -> None:
    machine.set(CORRUPT)
    assert machine.execute(command) is KvError.CORRUPT


@pytest.mark.parametrize(
    "command",
    [
        PublishMember(1, "n", (), ()),
        LeaseExpire(1, ()),
        AlarmSet(NO_SPACE, 2, is_raised=True),
        HashCheck(1, 1, -1, 0),
    ],
    ids=repr,
)
def test_what_is_no_write_goes_on(machine: Machine, command: Command) -> None:
    machine.set(CORRUPT)
    assert not isinstance(machine.execute(command), KvError)


def test_write_of_a_session_is_refused_too(machine: Machine) -> None:
    machine.execute(SessionOpenAs(5))
    machine.set(NO_SPACE)
    assert machine.execute(SessionWrite(5, 1, 1, PUT)) is KvError.NO_SPACE


def test_reads_go_on(machine: Machine) -> None:
    machine.set(CORRUPT)
    result = machine.machine.range(RangeQuery(b"a"))
    assert not isinstance(result, KvError)
    assert result.count == 1


def test_alarm_ends_with_the_last_member_that_raised_it(machine: Machine) -> None:
    machine.set(NO_SPACE, 1)
    machine.set(NO_SPACE, 2)
    machine.set(NO_SPACE, 1, is_raised=False)
    assert machine.execute(PUT) is KvError.NO_SPACE
    machine.set(NO_SPACE, 2, is_raised=False)
    assert not isinstance(machine.execute(PUT), KvError)


def test_answer_says_whether_there_is_such_an_alarm(machine: Machine) -> None:
    """Raising one twice is no error; ending one that is not raised does nothing."""
    revision = machine.machine.revision
    results = [
        machine.set(CORRUPT, is_raised=is_raised) for is_raised in (False, True, True, False)
    ]
    assert results == [AlarmResult(revision, is_known) for is_known in (False, True, True, True)]
    assert machine.machine.alarms.raised == frozenset()


def test_alarms_outlast_a_restart(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    before = Machine(store)
    node_id = 2**64 - 1
    before.set(NO_SPACE, node_id)
    before.set(CORRUPT, 5)
    before.set(CORRUPT, 5, is_raised=False)
    complete(before.machine.begin_checkpoint())
    store.close()
    again = LmdbStore(tmp_path)
    assert KvMachine(again).alarms.raised == {(NO_SPACE, node_id)}
    again.close()


def test_alarms_come_with_a_snapshot() -> None:
    there, here = Machine(), Machine()
    there.set(CORRUPT, 5)
    here.set(NO_SPACE, 6)
    complete(there.machine.begin_checkpoint())
    reader, writer = there.machine.open_snapshot(), here.machine.begin_restore()
    offset = 0
    while data := reader.read(offset, 1000):
        writer.write(data)
        offset += len(data)
    writer.commit()
    writer.swap()
    assert here.machine.alarms.raised == {(CORRUPT, 5)}
    assert here.execute(PUT) is KvError.CORRUPT


def test_hash_check_is_told_of_when_it_is_applied(machine: Machine) -> None:
    told: list[HashCheck] = []
    machine.machine.on_hash_check = told.append
    check = HashCheck(3, 2, -1, 2**64 - 1)
    machine.execute(check)
    assert told == [check]
