"""What must hold in every simulation: a file for each property. Each raises Violation when it is broken."""

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NodeId


class Violation(Exception):
    """A property does not hold. invariant: its name; text: what was seen."""

    def __init__(self, invariant: str, text: str) -> None:
        self.invariant = invariant
        self.text = text
        super().__init__(f"{invariant}: {text}")


def require(condition: bool, invariant: str, text: str) -> None:
    """Raise Violation unless `condition` holds."""
    if not condition:
        raise Violation(invariant, text)


def is_quorum(membership: Membership, nodes: set[NodeId]) -> bool:
    """Counted here again, so that a wrong count in the core shows."""
    groups = [membership.voters, *([membership.outgoing] if membership.outgoing else [])]
    return all(2 * len(nodes & set(group)) > len(group) for group in groups)
