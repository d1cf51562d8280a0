"""What the clients did and saw: the history that the checkers judge.

An operation reads or writes keys of one group; groups are judged apart, which is sound because no operation spans two.
The state of a group is the tuple of the values of its keys, None for a missing one.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

Values: TypeAlias = tuple[bytes | None, ...]


class Outcome(Enum):
    """How a client's operation ended."""

    OK = "ok"
    NOT_DONE = "not done"
    """It certainly did not happen, and never will."""
    UNKNOWN = "unknown"
    """It may have happened, or may yet happen. An operation that is not answered yet is unknown too."""


@dataclass(slots=True)
class Operation:
    """One call of one client.

    guard: None, or (key, value): the operation happens only if the key has that value (compare-and-set). writes: what is
    set then: key to value, None for a deletion. Both name keys by their place in the group. seen: if it is a read, or its
    guard did not hold, the values of the whole group at that moment; previous: if the answer told, the values of the keys
    in writes before it. None: the answer did not tell.
    """

    client: int
    node: int
    name: str
    group: int
    call_us: int
    writes: dict[int, bytes | None] = field(default_factory=dict)
    guard: tuple[int, bytes | None] | None = None
    command: bytes = b""
    """As it is proposed; b"" for a read."""
    return_us: int = -1
    """-1: not answered."""
    outcome: Outcome = Outcome.UNKNOWN
    seen: Values | None = None
    previous: dict[int, bytes | None] | None = None
    succeeded: bool | None = None
    """Whether the guard held; None if there is none, or if it is not known."""
    index: int = 0
    """Where it stands in the log; of a read, up to where the node had applied it. 0: not known."""
    floor_index: int = 0
    """The highest index of all operations that had ended when this one began."""

    @property
    def is_read(self) -> bool:
        return not self.command

    def apply(self, values: Values) -> tuple[bool, Values]:
        """Whether the answer is the one that a group with these values gives, and its values afterwards."""
        is_known = self.outcome is Outcome.OK
        if self.is_read:
            return not is_known or self.seen == values, values
        holds = self.guard is None or values[self.guard[0]] == self.guard[1]
        if is_known and self.succeeded is not None and self.succeeded != holds:
            return False, values
        if not holds:
            return not is_known or self.seen is None or self.seen == values, values
        previous = self.previous if is_known and self.previous is not None else {}
        if any(values[key] != value for key, value in previous.items()):
            return False, values
        after = list(values)
        for key, value in self.writes.items():
            after[key] = value
        return True, tuple(after)


@dataclass(slots=True)
class History:
    """All operations, in the order of their calls."""

    keys_in_group: int
    operations: list[Operation] = field(default_factory=list)

    def groups(self) -> dict[int, list[Operation]]:
        """By group: all but those that certainly did not happen, and reads without an answer, which tell nothing."""
        groups: dict[int, list[Operation]] = {}
        for operation in self.operations:
            tells = operation.outcome is Outcome.OK or (
                operation.outcome is Outcome.UNKNOWN and not operation.is_read
            )
            if tells:
                groups.setdefault(operation.group, []).append(operation)
        return groups
