"""Who takes part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NodeId

NODES = range(1, 10)
LARGEST = 2**64 - 1


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    ids = st.sets(st.one_of(st.sampled_from(NODES), st.integers(1, LARGEST)), max_size=6)
    voters, outgoing = draw(ids), draw(ids)
    learners = draw(ids) - voters - outgoing
    return Membership(tuple(sorted(voters)), tuple(sorted(outgoing)), tuple(sorted(learners)))


@given(memberships())
def test_decode_is_the_inverse_of_encode(membership: Membership) -> None:
    assert Membership.decode(membership.encode()) == membership


@given(memberships())
def test_nodes_are_all_groups_sorted_each_once(membership: Membership) -> None:
    everybody = {*membership.voters, *membership.outgoing, *membership.learners}
    assert membership.nodes == tuple(sorted(everybody))


@pytest.mark.parametrize(
    ("node_id", "is_voter"), [(1, True), (3, True), (4, True), (5, False), (6, False)],
    ids=["new", "both", "outgoing", "learner", "stranger"],
)  # fmt: skip
def test_voters_are_those_of_both_groups(node_id: NodeId, is_voter: bool) -> None:
    """While a joint configuration is in force, any server of either may become leader (thesis 4.3)."""
    membership = Membership((1, 2, 3), outgoing=(3, 4), learners=(5,))
    assert membership.is_voter(node_id) is is_voter


@pytest.mark.parametrize(
    "groups",
    [((2, 1),), ((1, 1),), ((1,), (3, 2)), ((1,), (), (3, 2)), ((1, 2), (), (2,)), ((1,), (2,), (2,))],
    ids=["unsorted", "repeated", "outgoing-unsorted", "learners-unsorted", "learner-votes", "learner-voted"],
)  # fmt: skip
def test_malformed_membership_is_a_bug_of_ours(groups: tuple[tuple[NodeId, ...], ...]) -> None:
    with pytest.raises(AssertionError):
        Membership(*groups)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"voters":[1]}', b'{"voters":1,"outgoing":[],"learners":[]}', b"\xff"],
    ids=["empty", "cut", "list", "no-groups", "one-group", "no-list", "no-text"],
)  # fmt: skip
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Membership.decode(data)
