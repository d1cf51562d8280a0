"""The roles of Figure 4 as data."""

from typing import get_args

import pytest

from raftwerk.raft.roles import Candidate, Follower, Leader, PreCandidate, Role
from tests.raft.builder import node

ROLES = ["follower", "pre-candidate", "candidate", "leader"]


def test_union_holds_the_roles() -> None:
    assert get_args(Role) == (Follower, PreCandidate, Candidate, Leader)


@pytest.mark.parametrize(
    "role", [Follower, PreCandidate, Candidate], ids=lambda role: role.__name__
)
def test_only_a_leader_has_leader_state(role: type) -> None:
    """Volatile state on leaders does not exist elsewhere, so nothing of it can be left over."""
    assert not hasattr(role(1000), "progress")


@pytest.mark.parametrize("role", [PreCandidate, Candidate], ids=lambda role: role.__name__)
def test_each_election_counts_its_own_votes(role: type) -> None:
    assert role(1000).votes == {}
    assert role(1000).votes is not role(1000).votes


@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_be_reached(role: str) -> None:
    assert node(1, term=3, log="1 1 2", role=role).role.lower() == role.replace("-", "")


def test_next_leadership_starts_from_nothing() -> None:
    """match_index[] and next_index[] are reinitialized after election (Figure 2)."""
    leader = node(1, term=3, log="1 1 2 3", role="leader", acks={2: 4})
    first = leader.leader
    leader.tick(2000)
    assert leader.role == "Follower", "nobody answered for an election timeout"
    again = node(1, term=5, log=leader.entries, role="leader")
    assert again.leader is not first
    assert again.leader.progress[2].match_index == 0
