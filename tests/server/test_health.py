"""grpc.health.v1.Health over a connection in memory."""

import pytest

from raftwerk.api import status
from raftwerk.api.health_pb2 import HealthCheckRequest, HealthCheckResponse
from raftwerk.server.health import Health
from tests.server.fakes import FakeLoop, FakeNode, PendingCall, Rig

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING


class HealthRig(Rig):
    """The service and its node."""

    def __init__(self) -> None:
        loop = FakeLoop()
        self.node = FakeNode(loop)
        super().__init__(loop, Health(self.node, loop).methods())


@pytest.fixture
def rig() -> HealthRig:
    return HealthRig()


def states(call: PendingCall) -> list[int]:
    return [HealthCheckResponse.FromString(message).status for message in call.messages]


@pytest.mark.parametrize(("has_leader", "expected"), [(True, SERVING), (False, NOT_SERVING)])
def test_check_tells_whether_a_leader_is_known(
    rig: HealthRig, has_leader: bool, expected: int
) -> None:
    rig.node.has_leader = has_leader
    outcome = rig.call(CHECK, HealthCheckRequest())
    assert HealthCheckResponse.FromString(outcome.message).status == expected


def test_check_of_another_service_is_not_found(rig: HealthRig) -> None:
    outcome = rig.call(CHECK, HealthCheckRequest(service="x"))
    assert outcome[:2] == (status.NOT_FOUND, "unknown service")


def test_watch_tells_the_state_at_once_and_then_each_change(rig: HealthRig) -> None:
    watch = rig.start(WATCH, HealthCheckRequest())
    assert states(watch) == [SERVING]
    rig.advance(10)
    assert states(watch) == [SERVING]
    for has_leader in (False, True):
        rig.node.has_leader = has_leader
        rig.advance(0.2)
    assert states(watch) == [SERVING, NOT_SERVING, SERVING]
    assert watch.outcome is None


def test_all_watches_share_one_timer(rig: HealthRig) -> None:
    watches = [rig.start(WATCH, HealthCheckRequest()) for _ in range(5)]
    assert rig.loop.timers == 1
    rig.node.has_leader = False
    rig.advance(1)
    assert rig.loop.timers == 1
    assert [states(watch) for watch in watches] == [[SERVING, NOT_SERVING]] * 5


def test_watch_ends_with_its_client(rig: HealthRig) -> None:
    watch = rig.start(WATCH, HealthCheckRequest())
    watch.client_call.cancel()
    rig.pump()
    rig.advance(1)
    assert rig.loop.timers == 0
    assert rig.open_calls == 0


def test_watch_of_another_service_stays_unknown(rig: HealthRig) -> None:
    watch = rig.start(WATCH, HealthCheckRequest(service="x"))
    rig.node.has_leader = False
    rig.advance(1)
    assert states(watch) == [HealthCheckResponse.SERVICE_UNKNOWN]
    assert watch.outcome is None


@pytest.mark.parametrize("path", [CHECK, WATCH])
def test_unreadable_request_is_refused(rig: HealthRig, path: str) -> None:
    assert rig.call(path, b"\xff\xff").status == status.INTERNAL


def test_further_requests_of_a_watch_are_passed_over(rig: HealthRig) -> None:
    """Also one that cannot be read: the call is not kept after its client has left."""
    watch = rig.start(WATCH, HealthCheckRequest())
    other = rig.open(WATCH)
    for data in (b"", b"\xff\xff", b""):
        other.client_call.send(data)
    rig.pump()
    assert states(other) == [SERVING]
    assert other.outcome is None
    for one in (watch, other):
        one.client_call.cancel()
    rig.pump()
    rig.advance(1)
    assert rig.loop.timers == 0


def test_watch_without_a_request_is_answered_as_in_etcd(rig: HealthRig) -> None:
    watch = rig.open(WATCH)
    watch.client_call.half_close()
    rig.pump()
    assert watch.outcome is not None
    assert watch.outcome[:2] == (status.UNKNOWN, "EOF")
