"""Observe: each value of each leader, in order, nothing twice and nothing left out."""

import pytest

from raftwerk.api import status
from raftwerk.api.election_pb2 import LeaderRequest, LeaderResponse
from raftwerk.kv.commands import DeleteRange, Put, Txn
from raftwerk.replica.failure import Failure
from tests.server.contests import A, B, ContestRig, refusal
from tests.server.fakes import PendingCall

OBSERVE = "/v3electionpb.Election/Observe"


class ObserveRig(ContestRig):
    """The election e."""

    def observe(self, **options: dict[bytes, bytes]) -> PendingCall:
        call = self.start(OBSERVE, LeaderRequest(name=b"e"), **options)  # type: ignore[arg-type]
        self.settle()
        return call

    def put(self, key: bytes, value: bytes) -> None:
        self.apply(Put(key, value))
        self.settle()


@pytest.fixture
def rig() -> ObserveRig:
    return ObserveRig()


def heard(call: PendingCall) -> list[tuple[bytes, bytes, int]]:
    """(key, value, revision of the header) of each message."""
    responses = [LeaderResponse.FromString(data) for data in call.messages]
    return [(one.kv.key, one.kv.value, one.header.revision) for one in responses]


def test_present_leader_is_told_at_once(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    rig.put(b"other", b"x")
    call = rig.observe()
    assert heard(call) == [(b"e/a", b"1", 3)]
    assert call.outcome is None


def test_each_value_is_told_in_order(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    call = rig.observe()
    rig.put(b"e/a", b"2")
    rig.put(b"e/b", b"waits")
    rig.put(b"e/a", b"3")
    assert heard(call) == [(b"e/a", b"1", 2), (b"e/a", b"2", 3), (b"e/a", b"3", 5)]


def test_next_leader_is_told_when_the_last_one_goes(rig: ObserveRig) -> None:
    for key in (b"e/c", b"e/a", b"e/b"):
        rig.put(key, key)
    call = rig.observe()
    rig.delete(b"e/a")
    rig.delete(b"e/c")
    assert heard(call) == [(b"e/c", b"e/c", 4), (b"e/b", b"e/b", 6)]


def test_first_to_come_is_told_with_its_first_value(rig: ObserveRig) -> None:
    """Whatever followed before this member could look."""
    call = rig.observe()
    assert heard(call) == []
    for value in (b"1", b"2", b"3"):
        rig.apply(Put(b"e/a", value))
    rig.settle()
    assert heard(call) == [(b"e/a", b"1", 2), (b"e/a", b"2", 4), (b"e/a", b"3", 4)]


def test_leader_that_comes_and_goes_between_two_looks_is_told(rig: ObserveRig) -> None:
    call = rig.observe()
    rig.apply(Put(b"e/a", b"1"))
    rig.apply(DeleteRange(b"e/a"))
    rig.apply(Put(b"e/b", b"2"))
    rig.settle()
    assert heard(call) == [(b"e/a", b"1", 2), (b"e/b", b"2", 4)]


def test_transaction_that_replaces_the_leader(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    call = rig.observe()
    rig.apply(Txn((), (DeleteRange(b"e/a"), Put(b"e/b", b"2"))))
    rig.settle()
    assert heard(call) == [(b"e/a", b"1", 2), (b"e/b", b"2", 3)]


def test_end_of_a_lease_is_the_end_of_a_leader(rig: ObserveRig) -> None:
    rig.apply(Put(b"e/a", b"1", lease=A))
    rig.apply(Put(b"e/b", b"2", lease=B))
    call = rig.observe()
    rig.revoke(A)
    assert heard(call) == [(b"e/a", b"1", 3), (b"e/b", b"2", 4)]


def test_observer_that_leaves_leaves_nothing(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    call = rig.observe(headers={b"grpc-timeout": b"9S"})
    assert rig.hub.watcher_count == 1
    call.client_call.cancel()
    rig.pump()
    rig.check_nothing_is_left()


def test_observer_ends_with_its_deadline(rig: ObserveRig) -> None:
    call = rig.observe(headers={b"grpc-timeout": b"5S"})
    rig.advance(5)
    assert refusal(call) == status.DEADLINE
    rig.check_nothing_is_left()


def test_observer_ends_with_the_member(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    call = rig.observe()
    rig.contests.stop()
    rig.pump()
    assert refusal(call) == status.STOPPED
    rig.check_nothing_is_left()


def test_observer_ends_when_nobody_can_be_asked(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"1")
    call = rig.observe()
    rig.node.failure = Failure.NO_LEADER
    rig.delete(b"e/a")
    assert refusal(call) == status.NO_LEADER
    rig.check_nothing_is_left()


def test_unreadable_request_ends_the_stream(rig: ObserveRig) -> None:
    call = rig.start(OBSERVE, b"\xff\xff")
    assert refusal(call)[0] == status.INTERNAL
    rig.check_nothing_is_left()


def test_client_that_does_not_read_costs_no_memory_and_misses_nothing(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"0")
    call = rig.observe()
    server = rig._server
    value = b"x" * 100_000
    server.is_blocked = True
    for _ in range(20):
        rig.apply(Put(b"e/a", value))
        rig.loop.settle()
    assert not server.has_output
    server.is_blocked = False
    server.on_written()
    rig.settle()
    revisions = [LeaderResponse.FromString(data).kv.mod_revision for data in call.messages]
    assert revisions == list(range(2, 23))


def test_stream_without_a_request_is_answered_as_in_etcd(rig: ObserveRig) -> None:
    call = rig.open(OBSERVE)
    call.client_call.half_close()
    rig.pump()
    assert call.outcome is not None
    assert call.outcome[:2] == (status.UNKNOWN, "EOF")


def test_connection_that_breaks_as_something_is_told_leaves_no_watcher(rig: ObserveRig) -> None:
    rig.put(b"e/a", b"x" * 2000)
    rig.limit_what_waits(1000)
    for _ in range(2):
        rig.observe()
    assert not rig.contests.open
    assert rig.hub.watcher_count == 0
