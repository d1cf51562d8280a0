"""What an exploration tells: how much it covered, and the way to what is broken."""

import traceback
from dataclasses import dataclass, field

from raftwerk.raft.types import NodeId
from raftwerk.sim.checkers import Violation
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Action


@dataclass(frozen=True, slots=True)
class CounterExample:
    """A shortest way from the start to what must not be."""

    bounds: Bounds
    steps: list[tuple[NodeId, Action]]
    invariant: str
    text: str


@dataclass(slots=True)
class Report:
    """What was covered. levels: the number of states first reached by so many actions."""

    levels: list[int] = field(default_factory=list)
    depth: int = 0
    """Everything that so many actions can do was covered."""
    transitions: int = 0
    local_states: int = 0
    messages: int = 0
    seconds: float = 0.0
    is_complete: bool = False
    """Every state within the bounds was visited, and nothing is broken."""
    counter_example: CounterExample | None = None

    @property
    def states(self) -> int:
        return sum(self.levels)


def outcome_of(error: Exception) -> tuple[str, str]:
    """(property, what was seen) of a violation, or of an assertion of the core: its text, or the line it stands in."""
    if isinstance(error, Violation):
        return error.invariant, error.text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "Invariant of the core", str(error) or f"{frame.name}: {frame.line}"
