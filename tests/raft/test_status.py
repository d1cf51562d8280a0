"""The view of the core that people, metrics and the API get."""

import pytest

from raftwerk.raft import status
from raftwerk.raft.status import PeerStatus, RaftStatus
from tests.raft.builder import node


def test_status_of_a_follower() -> None:
    follower = node(1, term=3, log="2 3 3", snapshot=(4, 2), commit=6, leader=2)
    assert status.of(follower.state) == RaftStatus(
        node_id=1,
        role="follower",
        current_term=3,
        voted_for=0,
        leader_id=2,
        snapshot_index=4,
        last_applied=6,
        commit_index=6,
        durable_index=7,
        last_index=7,
        peers={},
    )


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate", "leader"])
def test_status_names_the_role(role: str) -> None:
    assert status.of(node(1, term=2, log="1", role=role).state).role == role


def test_status_of_a_leader_shows_its_followers() -> None:
    leader = node(1, term=3, log="1 3 3", role="leader", acks={2: 3})
    leader.tick(40)
    assert status.of(leader.state).peers == {
        2: PeerStatus(mode="replicate", match_index=3, next_index=4, silent_ms=40),
        3: PeerStatus(mode="probe", match_index=0, next_index=2, silent_ms=40),
    }


def test_status_is_a_copy() -> None:
    leader = node(1, term=3, log="1 3", role="leader")
    before = status.of(leader.state)
    leader.propose(b"x")
    leader.ack(2, 3)
    assert before.last_index == 2
    assert before.peers[2].match_index == 0
