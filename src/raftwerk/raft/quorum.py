"""Majorities over a Membership: the only place that counts (learners never do; a joint configuration needs both)."""

from collections.abc import Callable, Container

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NodeId


def has_majority(membership: Membership, granted: Container[NodeId]) -> bool:
    """Whether `granted` holds a majority of the voters (of both groups of a joint configuration, thesis 4.3).

    >>> has_majority(Membership((1, 2, 3)), {1, 3})
    True
    >>> has_majority(Membership((1, 2, 3), outgoing=(1, 4, 5)), {1, 2, 3})
    False
    """
    # T4.3.1: in a joint configuration nobody is elected without a majority of the old voters and one of the new
    return _is_majority(membership.voters, granted) and (
        not membership.outgoing or _is_majority(membership.outgoing, granted)
    )


def is_lost(membership: Membership, refused: Container[NodeId]) -> bool:
    """Whether no majority is possible any more when `refused` never grant."""
    lost = _blocks_majority(membership.voters, refused)
    return lost or (bool(membership.outgoing) and _blocks_majority(membership.outgoing, refused))


def majority_value(membership: Membership, value: Callable[[NodeId], int]) -> int:
    """The highest n such that a majority of the voters has value(voter) >= n.

    >>> majority_value(Membership((1, 2, 3)), {1: 9, 2: 4, 3: 7}.__getitem__)
    7
    """
    # T4.2.1: a learner gets the log, but does not count. T4.3.2: in a joint configuration nothing commits without a
    # majority of the old voters and one of the new
    highest = _majority_value(membership.voters, value)
    if membership.outgoing:
        highest = min(highest, _majority_value(membership.outgoing, value))
    return highest


def _is_majority(voters: tuple[NodeId, ...], granted: Container[NodeId]) -> bool:
    return sum(voter in granted for voter in voters) > len(voters) // 2


def _blocks_majority(voters: tuple[NodeId, ...], refused: Container[NodeId]) -> bool:
    return sum(voter not in refused for voter in voters) <= len(voters) // 2


def _majority_value(voters: tuple[NodeId, ...], value: Callable[[NodeId], int]) -> int:
    assert voters, "a configuration without voters decides nothing"
    return sorted(map(value, voters), reverse=True)[len(voters) // 2]
