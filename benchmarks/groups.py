"""What a group of benchmarks is: the same for each system, measured in rounds; its rows and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Figures = dict[str, float]
"""By name; the unit stands at the end of the name. The first is what the ratio is taken of."""
Rows = dict[str, Figures]
"""By what was measured."""

PAIR: Final = ("etcd", "raftwerk")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done. The whole run takes some twenty minutes at full scale."""

    is_quick: bool = False

    def seconds(self, whole: float) -> float:
        return min(whole, 0.5) if self.is_quick else whole

    def count(self, whole: int, quick: int) -> int:
        return quick if self.is_quick else whole


@dataclass(frozen=True, slots=True)
class Group:
    """measure: one round for one system. rounds: None for as many as the whole run has."""

    name: str
    title: str
    measure: Callable[[str, Scale], Rows]
    systems: tuple[str, ...] = PAIR
    rounds: int | None = None
    is_long: bool = False
    """Only measured when it is asked for, or in the full run."""
