"""v3lockpb.Lock: what is answered. The waiting is tested in test_contest.py, etcd's answers in tests/interop/test_lock.py."""

import pytest

from raftwerk.api import status
from raftwerk.api.lock_pb2 import LockRequest, LockResponse, UnlockRequest, UnlockResponse
from raftwerk.replica.failure import Failure
from raftwerk.server.errors import status_of
from tests.server.contests import LOCK, A, ContestRig, answer, refusal
from tests.server.fakes import CLUSTER_ID, NODE_ID, TERM

UNLOCK = "/v3lockpb.Lock/Unlock"


@pytest.fixture
def rig() -> ContestRig:
    return ContestRig()


def test_lock_answers_with_the_key(rig: ContestRig) -> None:
    response = answer(rig.lock(A), LockResponse.FromString)
    header = response.header
    assert response.key == b"n/a"
    assert (header.cluster_id, header.member_id, header.revision, header.raft_term) == (
        CLUSTER_ID,
        NODE_ID,
        2,
        TERM,
    )


def test_lock_without_a_lease_makes_one_of_a_minute(rig: ContestRig) -> None:
    key = answer(rig.lock(0), LockResponse.FromString).key
    lease = rig.node.machine.leases.find(int(key.removeprefix(b"n/"), 16))
    assert lease is not None
    assert lease.ttl_s == 60


def test_key_of_a_negative_lease_has_a_sign(rig: ContestRig) -> None:
    """As Go writes hexadecimal numbers."""
    rig.revoke(A)
    call = rig.start(LOCK, LockRequest(name=b"", lease=-0xAB))
    rig.settle()
    assert refusal(call)[1] == status.LEASE_NOT_FOUND.text
    assert b"/-ab" in rig.node.commands[-1]


def test_unlock_deletes_the_key(rig: ContestRig) -> None:
    rig.lock(A)
    outcome = rig.call(UNLOCK, UnlockRequest(key=b"n/a"))
    assert UnlockResponse.FromString(outcome.message).header.revision == 3
    assert rig.keys() == []


def test_unlock_of_no_key_is_no_error(rig: ContestRig) -> None:
    outcome = rig.call(UNLOCK, UnlockRequest(key=b"n/a"))
    assert UnlockResponse.FromString(outcome.message).header.revision == 1


def test_unlock_needs_a_key(rig: ContestRig) -> None:
    outcome = rig.call(UNLOCK, UnlockRequest())
    assert (outcome.status, outcome.text) == (status.UNKNOWN, status.EMPTY_KEY.text)


@pytest.mark.parametrize("failure", Failure)
def test_unlock_tells_of_a_failure(rig: ContestRig, failure: Failure) -> None:
    rig.node.failure = failure
    outcome = rig.call(UNLOCK, UnlockRequest(key=b"n/a"))
    assert (outcome.status, outcome.text) == status_of(failure)


def test_too_long_a_name_is_refused(rig: ContestRig) -> None:
    name = b"n" * (rig.node.settings.max_request_bytes + 1)
    outcome = rig.call(LOCK, LockRequest(name=name, lease=A))
    assert (outcome.status, outcome.text) == (status.UNKNOWN, status.REQUEST_TOO_LARGE.text)
    rig.check_nothing_is_left()


@pytest.mark.parametrize("path", [LOCK, UNLOCK])
def test_unreadable_request_is_refused(rig: ContestRig, path: str) -> None:
    assert rig.call(path, b"\xff\xff").status == status.INTERNAL
