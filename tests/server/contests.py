"""A node with leases, and the services of locks and elections on it, over a connection in memory."""

from collections.abc import Callable
from typing import Any

from raftwerk.api.lock_pb2 import LockRequest
from raftwerk.kv.commands import (
    Command,
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    RangeQuery,
    encode,
)
from raftwerk.kv.results import RangeResult
from raftwerk.kv.rows import decode_key_value
from raftwerk.server.contest import Contests
from raftwerk.server.election_service import ElectionService
from raftwerk.server.lock_service import LockService
from raftwerk.server.slices import Slices
from raftwerk.server.watch_service import WatchService
from tests.server.fakes import FakeLoop, FakeNode, PendingCall, Rig

LOCK = "/v3lockpb.Lock/Lock"
A, B, C = 0xA, 0xB, 0xC


class ContestRig(Rig):
    """With the leases A, B and C."""

    def __init__(self) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop)
        self.is_over_quota = False
        slices = Slices(loop)
        self.hub = WatchService(self.node, loop, slices).hub
        self.contests = Contests(self.node, loop, slices, self.hub, lambda: self.is_over_quota)
        lock, election = LockService(self.contests), ElectionService(self.contests)
        super().__init__(loop, lock.methods(), election.methods())
        for lease_id in (A, B, C):
            self.apply(LeaseGrant(lease_id, 60))

    def apply(self, command: Command) -> Any:
        """Somebody else's command."""
        return self.node.apply(encode(command))

    def settle(self) -> None:
        """Until nothing moves. As the shell does it: written output lets calls go on."""
        self.pump()
        while self.loop.turn():
            self.pump()
            self._server.on_written()

    def lock(self, lease: int, **options: Any) -> PendingCall:
        """Ask for the lock n."""
        call = self.start(LOCK, LockRequest(name=b"n", lease=lease), **options)
        self.settle()
        return call

    def delete(self, key: bytes) -> None:
        self.apply(DeleteRange(key))
        self.settle()

    def revoke(self, lease: int) -> None:
        self.apply(LeaseRevoke(lease))
        self.settle()

    def compact(self) -> None:
        self.apply(Compact(self.node.machine.revision))
        self.settle()

    def keys(self) -> list[bytes]:
        result = self.node.machine.range(RangeQuery(b"\0", b"\0"))
        assert isinstance(result, RangeResult)
        return [decode_key_value(kv).key for kv in result.kvs]

    def check_nothing_is_left(self) -> None:
        assert not self.contests.open
        assert self.hub.watcher_count == 0
        assert self.loop.timers == 0
        assert self.open_calls == 0


def answer(call: PendingCall, response: Callable[[bytes], Any]) -> Any:
    """Of a call that succeeded."""
    assert call.outcome is not None, "the call was not answered"
    assert call.outcome.status == 0, call.outcome.text
    return response(call.outcome.message)


def refusal(call: PendingCall) -> tuple[int, str]:
    assert call.outcome is not None, "the call was not answered"
    return call.outcome.status, call.outcome.text
