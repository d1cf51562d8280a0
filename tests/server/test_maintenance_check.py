"""The comparison of the members' data: two members that share a log."""

import pytest

from raftwerk.kv.commands import AlarmKind, Compact, HashCheck, Put, decode, encode
from raftwerk.kv.store import Table
from raftwerk.server.alarms import Alarms
from raftwerk.server.maintenance_check import SLICE_ROWS, CorruptionCheck
from raftwerk.storage.memory import MemoryStore
from tests.server.fakes import NODE_ID, FakeLoop, FakeNode

INTERVAL_S = 60.0


class Member:
    def __init__(self, loop: FakeLoop, node_id: int, interval_s: float = INTERVAL_S) -> None:
        self.store = MemoryStore()
        self.node = FakeNode(loop, store=self.store)
        self.node.node_id = node_id
        self.alarms = Alarms(self.node, loop)
        self.check = CorruptionCheck(self.node, loop, self.alarms, interval_s)
        self.check.start()


class Rig:
    """The first member leads."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.leader = Member(self.loop, NODE_ID)
        self.follower = Member(self.loop, NODE_ID + 1)
        self._carried = 0

    def write(self, count: int = 3 * SLICE_ROWS) -> None:
        for number in range(count):
            for member in (self.leader, self.follower):
                member.node.apply(encode(Put(b"%d" % (number % 50), b"%d" % number)))

    def carry(self) -> None:
        """What the leader proposed reaches the follower."""
        for command in self.leader.node.commands[self._carried :]:
            self.follower.node.apply(command)
        self._carried = len(self.leader.node.commands)

    def spoil(self) -> None:
        """Change one byte in a version that the follower has."""
        rows = list(self.follower.store.scan(Table.REVISIONS, b"", None))
        key, value = rows[-10]  # the newest of its key
        self.follower.store.put(Table.REVISIONS, key, value[:-1] + bytes((value[-1] ^ 1,)))

    def compare(self) -> None:
        self.loop.advance(INTERVAL_S + 1)
        self.carry()
        self.loop.advance(1)

    @property
    def checks(self) -> list[HashCheck]:
        commands = [decode(data) for data in self.leader.node.commands]
        return [command for command in commands if isinstance(command, HashCheck)]

    @property
    def raised(self) -> set[tuple[AlarmKind, int]]:
        return set(self.follower.node.machine.alarms.raised)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.write()
    return rig


def test_equal_data_raise_nothing(rig: Rig) -> None:
    rig.compare()
    (check,) = rig.checks
    assert (check.node_id, check.revision) == (NODE_ID, rig.leader.node.machine.revision)
    assert rig.raised == set()
    assert rig.follower.node.commands == []


def test_different_data_raise_the_alarm_of_who_found_it(rig: Rig) -> None:
    rig.spoil()
    rig.compare()
    assert rig.raised == {(AlarmKind.CORRUPT, NODE_ID + 1)}


def test_writes_after_the_check_make_no_difference(rig: Rig) -> None:
    rig.loop.advance(INTERVAL_S + 1)
    rig.write(20)
    rig.carry()
    rig.write(20)
    rig.loop.advance(1)
    assert rig.raised == set()


def test_different_data_are_found_after_compaction_too(rig: Rig) -> None:
    for member in (rig.leader, rig.follower):
        member.node.apply(encode(Compact(member.node.machine.revision - 50)))
    rig.spoil()
    while rig.leader.node.machine.maintain(100):
        pass  # the follower has not got so far
    rig.compare()
    assert rig.raised == {(AlarmKind.CORRUPT, NODE_ID + 1)}


def test_compaction_in_between_ends_a_check(rig: Rig) -> None:
    """What was compared would not be the same."""
    rig.loop.advance(INTERVAL_S + 1)
    rig.spoil()
    rig.follower.node.apply(encode(Compact(100)))
    rig.carry()
    rig.loop.advance(1)
    assert rig.raised == set()


def test_snapshot_in_between_ends_a_check(rig: Rig) -> None:
    rig.loop.advance(INTERVAL_S + 1)
    rig.spoil()
    rig.carry()
    rig.follower.node.machine.reload()
    rig.loop.advance(1)
    assert rig.raised == set()


def test_check_is_cut_into_slices(rig: Rig) -> None:
    rig.loop.advance(INTERVAL_S)
    assert rig.checks == []
    rig.loop.advance(1)
    assert len(rig.checks) == 1


def test_check_comes_again_and_again(rig: Rig) -> None:
    rig.loop.advance(3 * INTERVAL_S + 1)
    assert len(rig.checks) == 3


def test_check_lets_compaction_go_on_after_it(rig: Rig) -> None:
    rig.compare()
    for member in (rig.leader, rig.follower):
        machine = member.node.machine
        member.node.apply(encode(Compact(machine.revision)))
        while machine.maintain(100):
            pass
        assert machine.removed_revision == machine.revision


def test_only_the_leader_begins_a_check(rig: Rig) -> None:
    rig.leader.node.has_leader = False
    rig.loop.advance(3 * INTERVAL_S)
    assert rig.checks == []


def test_no_interval_is_no_check() -> None:
    loop = FakeLoop()
    Member(loop, NODE_ID, interval_s=0)
    assert loop.timers == 0


def test_stopped_check_leaves_nothing(rig: Rig) -> None:
    rig.loop.advance(INTERVAL_S)
    rig.leader.check.stop()
    rig.follower.check.stop()
    assert rig.loop.timers == 0
    machine = rig.leader.node.machine
    assert machine.on_hash_check is None
    rig.leader.node.apply(encode(Compact(machine.revision)))
    while machine.maintain(100):
        pass
    assert machine.removed_revision == machine.revision, "what was under way holds nothing back"
