"""The alarms that a member raises, and those that it shows."""

import pytest
from structlog.testing import capture_logs

from raftwerk.api import rpc_pb2
from raftwerk.kv.commands import AlarmKind, AlarmSet, Put, encode
from raftwerk.replica.failure import Failure
from raftwerk.runtime.settings import Settings
from raftwerk.server.alarms import LOOK_S, Alarms
from tests.server.fakes import NODE_ID, FakeLoop, FakeNode

RAISED = (AlarmKind.NO_SPACE, NODE_ID)


class Rig:
    def __init__(self, quota: int = 1000) -> None:
        self.loop = FakeLoop()
        self.node = FakeNode(self.loop, Settings(quota_backend_bytes=quota))
        self.alarms = Alarms(self.node, self.loop)

    def fill(self) -> None:
        for number in range(50):
            self.node.apply(encode(Put(b"%d" % number, bytes(100))))

    def end(self) -> None:
        self.node.apply(encode(AlarmSet(*RAISED, is_raised=False)))

    @property
    def raised(self) -> set[tuple[AlarmKind, int]]:
        return set(self.node.machine.alarms.raised)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_store_over_its_quota_is_an_alarm(rig: Rig) -> None:
    rig.alarms.start()
    rig.loop.advance(LOOK_S)
    assert not rig.alarms.refuse_growth()
    rig.fill()
    rig.loop.advance(LOOK_S)
    assert rig.raised == {RAISED}
    assert rig.alarms.refuse_growth()


@pytest.mark.parametrize("quota", [-1, 10_000_000])
def test_store_with_room_is_none(quota: int) -> None:
    rig = Rig(quota)
    rig.fill()
    rig.alarms.start()
    rig.loop.advance(LOOK_S)
    assert rig.raised == set()
    assert not rig.alarms.refuse_growth()


def test_alarm_is_raised_again_while_its_reason_lasts(rig: Rig) -> None:
    rig.fill()
    rig.alarms.start()
    rig.loop.settle()
    rig.end()
    assert rig.alarms.refuse_growth()
    rig.loop.advance(LOOK_S)
    assert rig.raised == {RAISED}


def test_alarm_stays_when_there_is_room_again(rig: Rig) -> None:
    """As in etcd: somebody has to say that all is well."""
    rig.alarms.activate(AlarmKind.NO_SPACE)
    rig.loop.settle()
    rig.alarms.start()
    rig.loop.advance(10 * LOOK_S)
    assert rig.raised == {RAISED}


def test_alarm_is_for_the_log_to_refuse(rig: Rig) -> None:
    """Whoever disarms it at one member writes at another next, which may not have heard of it."""
    rig.alarms.activate(AlarmKind.NO_SPACE)
    rig.loop.settle()
    rig.alarms.start()
    assert not rig.alarms.refuse_growth()


def test_alarm_that_is_raised_is_not_asked_for_again(rig: Rig) -> None:
    rig.fill()
    rig.alarms.start()
    rig.loop.advance(5 * LOOK_S)
    assert len(rig.node.commands) == 1


def test_alarm_is_asked_for_once_at_a_time(rig: Rig) -> None:
    rig.fill()
    rig.node.is_stuck = True
    rig.alarms.start()
    rig.loop.advance(5 * LOOK_S)
    assert len(rig.node.commands) == 1
    rig.node.release()
    assert rig.raised == {RAISED}


def test_without_leader_nothing_is_asked_for(rig: Rig) -> None:
    rig.node.has_leader = False
    rig.fill()
    rig.alarms.start()
    rig.loop.settle()
    assert rig.node.commands == []
    assert rig.alarms.refuse_growth()


def test_an_alarm_of_one_kind_does_not_wait_for_another(rig: Rig) -> None:
    rig.node.is_stuck = True
    rig.alarms.activate(AlarmKind.NO_SPACE)
    rig.alarms.activate(AlarmKind.CORRUPT)
    rig.node.release()
    assert rig.raised == {RAISED, (AlarmKind.CORRUPT, NODE_ID)}


@pytest.mark.parametrize("has_leader", [True, False], ids=["refused", "no leader"])
def test_corruption_is_told_until_the_log_has_it(rig: Rig, *, has_leader: bool) -> None:
    """Whoever found it says it once."""
    rig.alarms.start()
    rig.node.has_leader = has_leader
    rig.node.failure = Failure.NOT_COMMITTED
    rig.alarms.activate(AlarmKind.CORRUPT)
    rig.loop.advance(3 * LOOK_S)
    assert rig.raised == set()
    rig.node.has_leader, rig.node.failure = True, None
    rig.loop.advance(LOOK_S)
    assert rig.raised == {(AlarmKind.CORRUPT, NODE_ID)}
    rig.node.apply(encode(AlarmSet(AlarmKind.CORRUPT, NODE_ID, is_raised=False)))
    rig.loop.advance(3 * LOOK_S)
    assert rig.raised == set()


def test_full_disk_is_shown_and_not_in_the_log(rig: Rig) -> None:
    rig.node.is_disk_full = True
    assert rig.alarms.members() == [rpc_pb2.AlarmMember(memberID=NODE_ID, alarm=rpc_pb2.NOSPACE)]
    assert rig.raised == set()
    assert not rig.alarms.refuse_growth()  # the node itself refuses
    rig.node.is_disk_full = False
    assert rig.alarms.members() == []


def test_full_disk_is_told_in_the_log_of_the_process_once_each_time(rig: Rig) -> None:
    with capture_logs() as lines:
        rig.alarms.start()
        for is_full in (False, True, True, False, False, True):
            rig.node.is_disk_full = is_full
            rig.loop.advance(LOOK_S)
    full, space, again = lines
    assert (full["event"], full["log_level"]) == (
        "the disk is full: no writes by way of this member",
        "warning",
    )
    assert full["folder"] == str(rig.node.settings.data_dir)
    assert space["event"] == "there is space on the disk again"
    assert again == full


def test_alarms_have_etcds_names(rig: Rig) -> None:
    for kind, node_id in ((AlarmKind.CORRUPT, 5), (AlarmKind.NO_SPACE, 9), RAISED):
        rig.node.apply(encode(AlarmSet(kind, node_id, is_raised=True)))
    found = [(one.memberID, rpc_pb2.AlarmType.Name(one.alarm)) for one in rig.alarms.members()]
    assert found == [(9, "NOSPACE"), (NODE_ID, "NOSPACE"), (5, "CORRUPT")]
    assert rig.alarms.names() == ["NOSPACE", "CORRUPT"]


def test_stopped_alarms_look_no_more(rig: Rig) -> None:
    rig.alarms.start()
    rig.alarms.stop()
    assert rig.loop.timers == 0
