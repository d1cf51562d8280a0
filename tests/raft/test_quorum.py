"""Majorities against a model that enumerates: a quorum is any set of voters whose complement is smaller."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.raft.membership import Membership
from raftwerk.raft.quorum import has_majority, is_lost, majority_value
from raftwerk.raft.types import NodeId

NODES = range(1, 8)
groups = st.sets(st.sampled_from(NODES), min_size=1, max_size=5).map(lambda ids: tuple(sorted(ids)))
memberships = st.builds(Membership, groups, st.one_of(st.just(()), groups))
some_nodes = st.sets(st.sampled_from(NODES))


def is_quorum(voters: tuple[NodeId, ...], nodes: set[NodeId]) -> bool:
    """The model: more of them inside than outside."""
    return len(set(voters) & nodes) > len(set(voters) - nodes)


def decides(membership: Membership, nodes: set[NodeId]) -> bool:
    """The model of a joint configuration: a quorum of each group that exists (thesis 4.3)."""
    return all(
        is_quorum(group, nodes) for group in (membership.voters, membership.outgoing) if group
    )


@given(memberships, some_nodes)
def test_majority_agrees_with_the_model(membership: Membership, granted: set[NodeId]) -> None:
    assert has_majority(membership, granted) == decides(membership, granted)


@given(memberships, some_nodes)
def test_election_is_lost_exactly_when_all_others_together_are_no_majority(
    membership: Membership, refused: set[NodeId]
) -> None:
    assert is_lost(membership, refused) == (not decides(membership, set(NODES) - refused))


@given(memberships, st.dictionaries(st.sampled_from(NODES), st.integers(0, 9)))
def test_majority_value_agrees_with_the_model(
    membership: Membership, values: dict[NodeId, int]
) -> None:
    """The highest n that a majority has reached."""

    def reached(n: int) -> set[NodeId]:
        return {node_id for node_id in NODES if values.get(node_id, 0) >= n}

    highest = max(n for n in range(10) if decides(membership, reached(n)))
    assert majority_value(membership, lambda node_id: values.get(node_id, 0)) == highest


@given(memberships, some_nodes, some_nodes)
def test_any_two_majorities_share_a_voter(
    membership: Membership, one: set[NodeId], other: set[NodeId]
) -> None:
    """What all of Raft rests on."""
    if has_majority(membership, one) and has_majority(membership, other):
        assert one & other & set(membership.voters)


@pytest.mark.parametrize(
    ("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_majority_is_the_smallest_that_outweighs_the_rest(voters: int, needed: int) -> None:
    membership = Membership(tuple(range(1, voters + 1)))
    assert all(
        has_majority(membership, set(group)) for group in combinations(NODES[:voters], needed)
    )
    assert not any(
        has_majority(membership, set(group)) for group in combinations(NODES[:voters], needed - 1)
    )


def test_learners_never_count() -> None:
    membership = Membership((1, 2, 3), learners=(4, 5, 6, 7))
    assert not has_majority(membership, {1, 4, 5, 6, 7})
    assert majority_value(membership, {1: 9, 2: 1, 3: 1, 4: 9, 5: 9, 6: 9, 7: 9}.__getitem__) == 1


@pytest.mark.parametrize("granted", [{1, 2, 3}, {4, 5, 6}], ids=["only-new", "only-old"])
def test_joint_configuration_needs_both_majorities(granted: set[NodeId]) -> None:
    """Agreement requires separate majorities from both the old and new configurations (thesis 4.3)."""
    joint = Membership((1, 2, 3), outgoing=(4, 5, 6))
    assert not has_majority(joint, granted)
    assert majority_value(joint, lambda node_id: 7 if node_id in granted else 2) == 2
    assert is_lost(joint, {4, 5} if granted == {1, 2, 3} else {1, 2})


def test_nobody_decides_nothing() -> None:
    with pytest.raises(AssertionError, match="without voters"):
        majority_value(Membership(()), lambda _: 1)
