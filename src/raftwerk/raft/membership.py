"""Who takes part: voters and learners, as one immutable value (thesis chapter 4).

While a joint configuration is in force (4.3), `outgoing` holds the voters of the old one, and every decision needs a
majority of both.
"""

import json
from dataclasses import dataclass
from functools import lru_cache

from raftwerk.raft.types import NodeId


@dataclass(frozen=True, slots=True)
class Membership:
    """Sorted tuples without repetition. Invariant: no learner is a voter, old or new."""

    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()

    def __post_init__(self) -> None:
        for group in (self.voters, self.outgoing, self.learners):
            assert list(group) == sorted(set(group)), f"not sorted, or repeated: {group}"
        assert not set(self.learners) & (set(self.voters) | set(self.outgoing))

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """Everybody who gets the log, sorted."""
        return tuple(sorted({*self.voters, *self.outgoing, *self.learners}))

    def is_voter(self, node_id: NodeId) -> bool:
        return node_id in self.voters or node_id in self.outgoing

    def encode(self) -> bytes:
        """The bytes of a MEMBERSHIP entry and of a snapshot's metadata.

        >>> Membership((1, 2, 3)).encode()
        b'{"voters":[1,2,3],"outgoing":[],"learners":[]}'
        """
        return _encoded(self)

    @staticmethod
    def decode(data: bytes) -> "Membership":
        """The inverse of encode. Raises ValueError, KeyError or TypeError for other bytes."""
        groups = json.loads(data)
        return Membership(
            tuple(groups["voters"]), tuple(groups["outgoing"]), tuple(groups["learners"])
        )


@lru_cache(maxsize=64)
def _encoded(membership: Membership) -> bytes:
    """Kept: it goes with each batch that is applied."""
    groups = {
        "voters": membership.voters,
        "outgoing": membership.outgoing,
        "learners": membership.learners,
    }
    return json.dumps(groups, separators=(",", ":")).encode()
