"""Work on the state that takes several turns of the event loop: steps, each of about a slice of rows."""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
"""Work in slices: each `next` does one; the result comes with the last."""


def begun(steps: Steps[T]) -> T | Steps[T]:
    """After the first slice: the result, if that was all, else the steps that are left."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return steps


class Slice:
    """How many rows may still be looked at in this turn of the event loop."""

    __slots__ = ("left", "rows")

    def __init__(self, rows: int) -> None:
        """rows: of a whole one."""
        self.left = self.rows = rows

    def take(self, rows: int) -> None:
        self.left = max(0, self.left - rows)

    def renew(self) -> None:
        """The next turn has come."""
        self.left = self.rows
