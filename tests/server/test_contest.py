"""The contest for a name: who comes first, who waits for whom, and what is left of those who give up."""

import pytest

from raftwerk.api import status
from raftwerk.api.lock_pb2 import LockRequest, LockResponse
from raftwerk.kv.commands import DeleteRange, LeaseGrant, Put
from raftwerk.replica.failure import Failure
from raftwerk.server.lock_service import SESSION_EXPIRED
from tests.kv.rig import Rig as Machine
from tests.server.contests import LOCK, A, B, C, ContestRig, answer, refusal


@pytest.fixture
def rig() -> ContestRig:
    return ContestRig()


def key_of(call: object) -> bytes:
    return bytes(answer(call, LockResponse.FromString).key)  # type: ignore[arg-type]


def test_first_to_come_is_first(rig: ContestRig) -> None:
    call = rig.lock(A)
    assert key_of(call) == b"n/a"
    assert rig.keys() == [b"n/a"]
    rig.check_nothing_is_left()


def test_others_wait_in_the_order_of_their_keys(rig: ContestRig) -> None:
    rig.lock(A)
    second, third = rig.lock(C), rig.lock(B)
    assert (second.outcome, third.outcome) == (None, None)
    rig.delete(b"n/a")
    assert key_of(second) == b"n/c"
    assert third.outcome is None
    rig.delete(b"n/c")
    assert key_of(third) == b"n/b"
    rig.check_nothing_is_left()


def test_everybody_waits_for_one_key_and_the_own(rig: ContestRig) -> None:
    """No herd: one that goes wakes one."""
    rig.lock(A)
    for lease_id in range(100, 120):
        rig.apply(LeaseGrant(lease_id, 60))
        rig.lock(lease_id)
    assert rig.hub.watcher_count == 40
    turns = rig.loop.turns
    rig.delete(b"n/a")
    assert rig.hub.watcher_count == 38
    assert rig.loop.turns - turns <= 4


def test_header_has_the_revision_at_which_the_wait_was_over(rig: ContestRig) -> None:
    first = rig.lock(A)
    second = rig.lock(B)
    rig.apply(Put(b"other"))
    rig.delete(b"n/a")
    revisions = [answer(call, LockResponse.FromString).header.revision for call in (first, second)]
    assert revisions == [2, 5]


def test_end_of_a_lease_lets_the_next_one_in(rig: ContestRig) -> None:
    rig.lock(A)
    second = rig.lock(B)
    rig.revoke(A)
    assert key_of(second) == b"n/b"


def test_one_that_waits_in_between_may_go(rig: ContestRig) -> None:
    rig.lock(A)
    rig.lock(B)
    third = rig.lock(C)
    rig.delete(b"n/b")
    assert third.outcome is None
    rig.delete(b"n/a")
    assert key_of(third) == b"n/c"


def test_same_lease_is_first_again(rig: ContestRig) -> None:
    assert key_of(rig.lock(A)) == key_of(rig.lock(A)) == b"n/a"
    assert rig.keys() == [b"n/a"]


def test_key_that_was_made_anew_is_another_one(rig: ContestRig) -> None:
    """Its owner has lost its place meanwhile."""
    rig.lock(A)
    second = rig.lock(B)
    rig.apply(Put(b"n/a", b"changed", lease=A))
    rig.settle()
    assert second.outcome is None, "a new value is the same key"
    rig.delete(b"n/a")
    again = rig.lock(A)
    assert key_of(second) == b"n/b"
    assert again.outcome is None


def test_whoever_lost_its_key_is_not_first(rig: ContestRig) -> None:
    rig.lock(A)
    second = rig.lock(B)
    rig.revoke(B)
    assert refusal(second) == SESSION_EXPIRED
    rig.check_nothing_is_left()


def test_own_key_is_looked_at_again_after_the_barrier(rig: ContestRig) -> None:
    """The last look is linearizable: a member that lags must not give a lock away."""
    rig.lock(A)
    second = rig.lock(B)
    rig.node.is_stuck = True
    rig.delete(b"n/a")
    assert second.outcome is None
    rig.revoke(B)
    rig.node.release()
    rig.settle()
    assert refusal(second) == SESSION_EXPIRED


def test_own_key_and_older_key_gone_at_once(rig: ContestRig) -> None:
    rig.lock(A)
    second = rig.lock(B)
    rig.revoke(A)
    third = rig.lock(C)
    assert key_of(second) == b"n/b"
    rig.revoke(B)
    assert key_of(third) == b"n/c"


def test_whoever_comes_again_keeps_its_place(rig: ContestRig) -> None:
    rig.lock(A)
    second, third = rig.lock(B), rig.lock(C)
    again = rig.lock(B)
    rig.delete(b"n/a")
    assert key_of(again) == key_of(second) == b"n/b"
    assert third.outcome is None


# Giving up


def test_call_given_up_late_does_not_take_away_what_the_next_one_was_given(
    rig: ContestRig,
) -> None:
    """A broken connection may be noticed when its owner has long been served by another one."""
    rig.lock(A)
    lost = rig.lock(B)
    again = rig.lock(B)
    rig.delete(b"n/a")
    third = rig.lock(C)
    lost_too = rig.lock(B)
    lost.client_call.cancel()
    rig.pump()
    rig.settle()
    assert key_of(again) == key_of(lost_too) == b"n/b"
    assert rig.keys() == [b"n/b", b"n/c"]
    assert third.outcome is None


def test_given_up_call_does_not_take_the_key_of_one_that_waits(rig: ContestRig) -> None:
    rig.lock(A)
    lost, again = rig.lock(B), rig.lock(B)
    lost.client_call.cancel()
    rig.pump()
    rig.settle()
    rig.delete(b"n/a")
    assert key_of(again) == b"n/b"


@pytest.mark.parametrize("way", ["cancelled", "deadline", "connection lost"])
def test_call_that_is_given_up_takes_its_key_with_it(rig: ContestRig, way: str) -> None:
    rig.lock(A)
    headers = {b"grpc-timeout": b"5S"} if way == "deadline" else None
    second = rig.lock(B, headers=headers)
    third = rig.lock(C)
    if way == "cancelled":
        second.client_call.cancel()
        rig.pump()
        rig.settle()
    elif way == "deadline":
        rig.advance(5)
        assert refusal(second) == status.DEADLINE
    else:
        rig._server.lost()
        rig.loop.settle()
        assert rig.keys() == [b"n/a"]
        return
    assert rig.keys() == [b"n/a", b"n/c"]
    rig.delete(b"n/a")
    assert key_of(third) == b"n/c"
    rig.check_nothing_is_left()


def test_call_given_up_before_its_key_was_there_leaves_none(rig: ContestRig) -> None:
    rig.node.is_stuck = True
    call = rig.lock(A)
    call.client_call.cancel()
    rig.pump()
    rig.node.release()
    rig.settle()
    assert rig.keys() == []
    assert rig.node.machine.revision == 3, "it was there for a moment"
    rig.check_nothing_is_left()


def test_call_given_up_before_its_lease_was_there_writes_nothing(rig: ContestRig) -> None:
    rig.node.is_stuck = True
    call = rig.lock(0)
    call.client_call.cancel()
    rig.pump()
    rig.node.release()
    rig.settle()
    assert rig.node.machine.revision == 1
    rig.check_nothing_is_left()


def test_answered_call_keeps_its_key(rig: ContestRig) -> None:
    """Its connection may go."""
    rig.lock(A, headers={b"grpc-timeout": b"5S"})
    rig.advance(10)
    rig._server.lost()
    rig.loop.settle()
    assert rig.keys() == [b"n/a"]


def test_stopping_member_leaves_the_keys(rig: ContestRig) -> None:
    """Their owners go on at another member, and keep their places."""
    rig.lock(A)
    second = rig.lock(B)
    rig.contests.stop()
    rig.settle()
    assert refusal(second) == status.STOPPED
    assert rig.keys() == [b"n/a", b"n/b"]
    rig.check_nothing_is_left()


def test_stopping_member_leaves_a_key_that_is_not_there_yet(rig: ContestRig) -> None:
    rig.node.is_stuck = True
    rig.lock(A)
    rig.contests.stop()
    rig.node.release()
    rig.settle()
    assert rig.keys() == [b"n/a"]


# What can go wrong


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("lease", [A, 0])
def test_failure_of_the_node_ends_the_call(rig: ContestRig, lease: int, failure: Failure) -> None:
    rig.node.failure = failure
    call = rig.lock(lease, headers={b"grpc-timeout": b"5S"})
    assert call.outcome is not None
    assert call.outcome.status != status.OK
    rig.check_nothing_is_left()


def test_failure_of_the_last_look_gives_the_place_back(rig: ContestRig) -> None:
    rig.lock(A)
    second = rig.lock(B)
    rig.node.failure = Failure.TIMED_OUT
    rig.delete(b"n/a")
    assert refusal(second) == status.TIMED_OUT
    assert rig.node.commands, "the removal of its key was proposed"
    rig.check_nothing_is_left()


def test_unknown_lease_is_refused_with_the_code_of_a_client_inside(rig: ContestRig) -> None:
    assert refusal(rig.lock(99)) == (status.UNKNOWN, status.LEASE_NOT_FOUND.text)
    rig.check_nothing_is_left()


@pytest.mark.parametrize("lease", [A, 0])
def test_nobody_enters_without_space(rig: ContestRig, lease: int) -> None:
    rig.is_over_quota = True
    assert refusal(rig.lock(lease)) == (status.UNKNOWN, status.NO_SPACE.text)
    rig.check_nothing_is_left()


def test_call_that_wants_a_leader_is_refused_without_one(rig: ContestRig) -> None:
    rig.node.has_leader = False
    call = rig.lock(A, headers={b"hasleader": b"true"})
    assert refusal(call) == status.NO_LEADER
    rig.check_nothing_is_left()


def test_compaction_disturbs_nobody(rig: ContestRig) -> None:
    rig.lock(A)
    second = rig.lock(B)
    rig.apply(Put(b"other"))
    rig.compact()
    assert second.outcome is None
    rig.delete(b"n/a")
    assert key_of(second) == b"n/b"


def test_installed_snapshot_tells_of_what_happened(rig: ContestRig) -> None:
    """This member lagged: it sees the deletion only as a state in which the key is gone."""
    rig.lock(A)
    second = rig.lock(B)
    source = Machine()
    source.execute_all(LeaseGrant(A, 60), LeaseGrant(B, 60), LeaseGrant(C, 60))
    for command in rig.node.commands:
        source.log.append(command)
        source._apply(len(source.log))
    source.execute(DeleteRange(b"n/a"))
    source.checkpoint()
    writer = rig.node.machine.begin_restore()
    reader, offset = source.machine.open_snapshot(), 0
    while chunk := reader.read(offset, 1000):
        writer.write(chunk)
        offset += len(chunk)
    writer.commit()
    writer.swap()
    rig.settle()
    assert key_of(second) == b"n/b"


def test_many_who_wait_are_looked_through_in_slices(rig: ContestRig) -> None:
    rig.lock(A)
    for lease_id in range(1000, 1450):
        rig.apply(Put(b"n/%x" % lease_id))
    turns = rig.loop.turns
    last = rig.lock(B)
    assert rig.loop.turns - turns >= 3
    assert last.outcome is None


@pytest.mark.parametrize("gone", [b"n/5a9", b"n/b"], ids=["next older key", "own key"])
def test_key_that_goes_while_others_are_looked_through_is_missed_by_nobody(
    rig: ContestRig, gone: bytes
) -> None:
    for lease_id in range(1000, 1450):
        rig.apply(Put(b"n/%x" % lease_id))
    call = rig.start(LOCK, LockRequest(name=b"n", lease=B))
    while rig.keys()[-1] != b"n/b":
        rig.loop.turn()
    rig.loop.turn()
    assert rig.hub.watcher_count == 0, "it still looks"
    rig.delete(gone)
    assert (call.outcome is None) is (gone == b"n/5a9")
    rig.apply(DeleteRange(b"n/3", b"n/6"))
    rig.settle()
    assert call.outcome is not None
    rig.check_nothing_is_left()
