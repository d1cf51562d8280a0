"""Election Safety."""

import pytest

from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import RequestVote, RequestVoteReply
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.election_safety import ElectionSafety

THREE = Membership((1, 2, 3))


def elected() -> ElectionSafety:
    """Node 1 in term 2, with the vote of 2."""
    elections = ElectionSafety()
    elections.on_send(1, 2, RequestVote(2, 1, 0, 0))
    elections.on_send(2, 1, RequestVoteReply(2, True))
    assert elections.on_leader(1, 2, THREE)
    return elections


def test_a_leadership_is_new_once() -> None:
    elections = elected()
    assert not elections.on_leader(1, 2, THREE)
    assert elections.newest_term == 2


def test_two_leaders_in_a_term() -> None:
    with pytest.raises(Violation, match="nodes 1 and 3 both lead"):
        elected().on_leader(3, 2, THREE)


def test_a_leader_without_a_majority_of_votes_of_its_term() -> None:
    elections = elected()
    elections.on_send(1, 2, RequestVote(3, 1, 0, 0))
    with pytest.raises(Violation, match="Elected by a majority"):
        elections.on_leader(1, 3, THREE)


def test_two_votes_in_a_term() -> None:
    elections = elected()
    with pytest.raises(Violation, match="node 2 voted for 1 and for 3"):
        elections.on_send(2, 3, RequestVoteReply(2, True))


def test_refused_votes_count_for_nobody() -> None:
    elections = ElectionSafety()
    elections.on_send(2, 1, RequestVoteReply(2, False))
    with pytest.raises(Violation, match="majority"):
        elections.on_leader(1, 2, THREE)
