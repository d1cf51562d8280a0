"""Automatic compaction."""

import pytest

from raftwerk.kv.auth_rules import identified
from raftwerk.kv.commands import Compact, Put, decode, encode
from raftwerk.replica.failure import Failure
from raftwerk.runtime.settings import Settings
from raftwerk.server.maintenance_compaction import REVISION_INTERVAL_S, AutoCompaction
from tests.server.fakes import FakeLoop, FakeNode


class Rig:
    """A put every second."""

    def __init__(self, mode: str, retention: float) -> None:
        self.loop = FakeLoop()
        settings = Settings(auto_compaction_mode=mode, auto_compaction_retention=retention)
        self.node = FakeNode(self.loop, settings)
        self.compaction = AutoCompaction(self.node, self.loop)
        self.compaction.start()

    def go_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.node.apply(encode(Put(b"key")))
            self.loop.advance(1)

    @property
    def asked_for(self) -> list[int]:
        commands = [identified(decode(data))[0] for data in self.node.commands]
        return [command.revision for command in commands if isinstance(command, Compact)]


def test_periodic_mode_keeps_what_is_younger() -> None:
    """Revision n was written at second n - 2."""
    rig = Rig("periodic", 100)
    rig.go_on(100)
    assert rig.asked_for == []
    rig.go_on(100)
    compacted = rig.node.machine.compacted_revision
    assert 80 <= compacted <= 101
    assert len(rig.asked_for) <= 11


def test_periodic_mode_compacts_once_an_hour_at_least() -> None:
    rig = Rig("periodic", 36_000)
    rig.loop.advance(36_000)
    rig.node.apply(encode(Put(b"key")))
    rig.loop.advance(37_000)
    assert rig.node.machine.compacted_revision == 2


def test_revision_mode_keeps_so_many() -> None:
    rig = Rig("revision", 100)
    rig.go_on(int(2 * REVISION_INTERVAL_S) + 1)
    assert rig.asked_for == [
        REVISION_INTERVAL_S + 1 - 100,
        2 * REVISION_INTERVAL_S + 1 - 100,
    ]


@pytest.mark.parametrize("mode", ["periodic", "revision"])
def test_nothing_new_is_nothing_to_compact(mode: str) -> None:
    rig = Rig(mode, 10)
    rig.loop.advance(1000)
    rig.go_on(20)
    rig.loop.advance(1000)
    count = len(rig.asked_for)
    rig.loop.advance(10_000)
    assert len(rig.asked_for) == count > 0


def test_failed_compaction_is_asked_for_again() -> None:
    rig = Rig("revision", 5)
    rig.go_on(20)
    rig.node.failure = Failure.TIMED_OUT
    rig.loop.advance(REVISION_INTERVAL_S)
    rig.node.failure = None
    rig.loop.advance(REVISION_INTERVAL_S)
    assert rig.asked_for == [16, 16]
    assert rig.node.machine.compacted_revision == 16


def test_only_the_leader_asks() -> None:
    rig = Rig("revision", 5)
    rig.go_on(20)
    rig.node.has_leader = False
    rig.loop.advance(2 * REVISION_INTERVAL_S)
    assert rig.asked_for == []


def test_without_retention_nothing_happens() -> None:
    rig = Rig("periodic", 0)
    rig.go_on(20)
    assert rig.loop.timers == 0


def test_stopped_compaction_looks_no_more() -> None:
    rig = Rig("periodic", 100)
    rig.compaction.stop()
    assert rig.loop.timers == 0
