"""What is had inside a block alone. Whoever forgets the block is told, as of a coroutine that was never awaited."""

import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from raftwerk.errors import UsageError

AGAIN = "a second time: call the method again for another one; "


class Block:
    """Of `async with`: a lock, a leadership, a lease, a watch."""

    WITHIN: ClassVar[str]
    """How it is meant, for people."""
    _is_expected = False
    _was_entered = False

    def expected(self) -> Self:
        """Whoever gets it has to enter it: a RuntimeWarning tells of one that is dropped before."""
        self._is_expected = True
        return self

    def looked_after(self) -> Self:
        """Somebody else tells, or has told already."""
        self._is_expected = False
        return self

    def begin(self) -> None:
        """It is entered. Raises UsageError the second time."""
        self.looked_after()
        if self._was_entered:
            raise UsageError(AGAIN + self.WITHIN)
        self._was_entered = True

    def misused(self) -> UsageError:
        """What to raise where it is used without having been entered."""
        self.looked_after()
        return UsageError(self.WITHIN)

    def __del__(self) -> None:
        if self._is_expected:
            warnings.warn(f"never entered: {self.WITHIN}", RuntimeWarning, stacklevel=2)

    if not TYPE_CHECKING:  # which says so before the program runs

        def __await__(self) -> Generator[Any, None, Self]:
            raise self.misused()
