"""v3electionpb.Election: what is answered. Observe has its own tests; etcd's answers: tests/interop/test_lock.py."""

from typing import Any

import pytest

from raftwerk.api import status
from raftwerk.api.election_pb2 import (
    CampaignRequest,
    CampaignResponse,
    LeaderKey,
    LeaderRequest,
    LeaderResponse,
    ProclaimRequest,
    ProclaimResponse,
    ResignRequest,
    ResignResponse,
)
from raftwerk.kv.commands import Put
from raftwerk.replica.failure import Failure
from raftwerk.server.election_service import MISSING_LEADER, NO_LEADER, NOT_LEADER
from raftwerk.server.errors import status_of
from tests.server.contests import A, B, ContestRig, answer, refusal
from tests.server.fakes import PendingCall

CAMPAIGN = "/v3electionpb.Election/Campaign"
PROCLAIM = "/v3electionpb.Election/Proclaim"
LEADER = "/v3electionpb.Election/Leader"
RESIGN = "/v3electionpb.Election/Resign"


class ElectionRig(ContestRig):
    """The election e."""

    def campaign(self, lease: int, value: bytes = b"v") -> PendingCall:
        call = self.start(CAMPAIGN, CampaignRequest(name=b"e", lease=lease, value=value))
        self.settle()
        return call

    def elected(self, lease: int, value: bytes = b"v") -> LeaderKey:
        leader: LeaderKey = answer(self.campaign(lease, value), CampaignResponse.FromString).leader
        return leader

    def outcome(self, path: str, request: Any) -> PendingCall:
        call = self.start(path, request)
        self.settle()
        return call

    def leader(self) -> LeaderResponse:
        call = self.outcome(LEADER, LeaderRequest(name=b"e"))
        response: LeaderResponse = answer(call, LeaderResponse.FromString)
        return response


@pytest.fixture
def rig() -> ElectionRig:
    return ElectionRig()


def test_campaign_answers_with_what_the_leader_needs(rig: ElectionRig) -> None:
    response = answer(rig.campaign(A), CampaignResponse.FromString)
    assert response.leader == LeaderKey(name=b"e", key=b"e/a", rev=2, lease=A)
    assert response.header.revision == 2


def test_next_one_is_elected_when_the_leader_resigns(rig: ElectionRig) -> None:
    """Its header has the revision at which it entered, as etcd's."""
    first = rig.elected(A)
    second = rig.campaign(B)
    assert second.outcome is None
    call = rig.outcome(RESIGN, ResignRequest(leader=first))
    assert answer(call, ResignResponse.FromString).header.revision == 4
    response = answer(second, CampaignResponse.FromString)
    assert (response.leader.key, response.leader.rev) == (b"e/b", 3)
    assert response.header.revision == 3


def test_second_campaign_of_a_lease_changes_the_value(rig: ElectionRig) -> None:
    first = rig.elected(A, b"old")
    assert rig.elected(A, b"new") == first
    assert rig.leader().kv.value == b"new"
    assert rig.node.machine.revision == 3


def test_candidate_that_lost_its_lease_is_not_elected(rig: ElectionRig) -> None:
    rig.elected(A)
    second = rig.campaign(B)
    rig.revoke(B)
    assert refusal(second) == NOT_LEADER


def test_leader_is_whoever_was_first(rig: ElectionRig) -> None:
    rig.elected(A, b"1")
    rig.campaign(B, b"2")
    rig.apply(Put(b"e/a", b"3", lease=A))
    rig.apply(Put(b"d", b"x"))
    response = rig.leader()
    assert (response.kv.key, response.kv.value, response.kv.lease) == (b"e/a", b"3", A)
    assert response.header.revision == 5


def test_no_leader_is_refused(rig: ElectionRig) -> None:
    rig.apply(Put(b"e0", b"not of this election"))
    assert refusal(rig.outcome(LEADER, LeaderRequest(name=b"e"))) == NO_LEADER


def test_leader_proclaims(rig: ElectionRig) -> None:
    leader = rig.elected(A)
    call = rig.outcome(PROCLAIM, ProclaimRequest(leader=leader, value=b"new"))
    assert answer(call, ProclaimResponse.FromString).header.revision == 3
    assert rig.leader().kv.value == b"new"


def test_leader_that_was_replaced_proclaims_nothing(rig: ElectionRig) -> None:
    leader = rig.elected(A)
    rig.delete(leader.key)
    rig.elected(A, b"again")
    call = rig.outcome(PROCLAIM, ProclaimRequest(leader=leader, value=b"new"))
    assert refusal(call) == NOT_LEADER
    assert rig.leader().kv.value == b"again"


def test_leader_that_was_replaced_resigns_nothing(rig: ElectionRig) -> None:
    """Which is no error."""
    leader = rig.elected(A)
    rig.delete(leader.key)
    rig.elected(A, b"again")
    call = rig.outcome(RESIGN, ResignRequest(leader=leader))
    assert answer(call, ResignResponse.FromString).header.revision == 4
    assert rig.leader().kv.value == b"again"


def test_proclaim_without_a_lease_gets_a_new_one(rig: ElectionRig) -> None:
    leader = rig.elected(A)
    leader.lease = 0
    rig.outcome(PROCLAIM, ProclaimRequest(leader=leader, value=b"new"))
    lease = rig.node.machine.leases.find(rig.leader().kv.lease)
    assert lease is not None
    assert lease.ttl_s == 60


@pytest.mark.parametrize(
    ("path", "request_type"), [(PROCLAIM, ProclaimRequest), (RESIGN, ResignRequest)]
)
def test_leader_field_is_needed(rig: ElectionRig, path: str, request_type: Any) -> None:
    assert refusal(rig.outcome(path, request_type())) == MISSING_LEADER
    call = rig.outcome(path, request_type(leader=LeaderKey(name=b"e")))
    assert refusal(call) == (status.UNKNOWN, status.EMPTY_KEY.text)


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("path", [PROCLAIM, RESIGN, LEADER])
def test_failure_of_the_node_is_told(rig: ElectionRig, path: str, failure: Failure) -> None:
    leader = rig.elected(A)
    rig.node.failure = failure
    request = {
        PROCLAIM: ProclaimRequest(leader=leader),
        RESIGN: ResignRequest(leader=leader),
        LEADER: LeaderRequest(name=b"e"),
    }[path]
    assert refusal(rig.outcome(path, request)) == status_of(failure)


def test_nothing_is_proclaimed_without_space(rig: ElectionRig) -> None:
    """But one can resign."""
    leader = rig.elected(A)
    rig.is_over_quota = True
    call = rig.outcome(PROCLAIM, ProclaimRequest(leader=leader, value=b"new"))
    assert refusal(call) == (status.UNKNOWN, status.NO_SPACE.text)
    answer(rig.outcome(RESIGN, ResignRequest(leader=leader)), ResignResponse.FromString)
    assert rig.keys() == []


@pytest.mark.parametrize("path", [CAMPAIGN, PROCLAIM, LEADER, RESIGN])
def test_unreadable_request_is_refused(rig: ElectionRig, path: str) -> None:
    assert rig.call(path, b"\xff\xff").status == status.INTERNAL
