"""Leadership transfer, the receiving side (thesis 3.10)."""

import pytest

from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import RequestVote, TimeoutNow
from tests.raft.builder import node, receivers, sent


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_target_starts_an_election_at_once(role: str) -> None:
    """Without a wait and without a pre-vote, though a leader was just heard."""
    target = node(1, term=3, log="1 3", role=role, leader=2 if role == "follower" else 0)
    effects = target.receive(2, TimeoutNow(3, 2))
    assert (target.role, target.state.current_term) == ("Candidate", 4)
    assert receivers(effects, RequestVote) == [2, 3]
    assert all(request.is_transfer for request in sent(effects, RequestVote))


def test_stale_leader_transfers_nothing() -> None:
    target = node(1, term=3, log="1 3", leader=3)
    assert target.receive(2, TimeoutNow(2, 2)) == Effects()
    assert target.state.current_term == 3


def test_newer_leader_transfers_from_its_term() -> None:
    target = node(1, term=3, log="1 3", leader=3)
    target.receive(2, TimeoutNow(5, 2))
    assert (target.role, target.state.current_term) == ("Candidate", 6)


def test_leader_keeps_what_it_has() -> None:
    """The message was sent twice, and the target has won already."""
    leader = node(1, term=3, log="1 3", role="leader")
    assert leader.receive(2, TimeoutNow(3, 2)) == Effects()
    assert leader.role == "Leader"


def test_learner_cannot_take_over() -> None:
    learner = node(4, term=3, log="1 3", learners=(4,), leader=2)
    assert learner.receive(2, TimeoutNow(3, 2)) == Effects()
