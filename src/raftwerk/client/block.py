"""What is had inside a block alone. Whoever forgets the block is told, as of a coroutine that was never awaited."""

import warnings
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from raftwerk.errors import UsageError

T = TypeVar("T")

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


class SyncBlock(Generic[T]):
    """Of `with`, in raftwerk.sync. Whoever forgets that is told: by an error, or a RuntimeWarning when it is dropped."""

    _is_expected = False

    def __init__(self, how: str, inside: AbstractContextManager[T]) -> None:
        """how: it is called, and what comes of it."""
        self._within = f"it is had inside its block: with client.{how}"
        self._inside = inside
        self._is_expected = True
        self._was_entered = False

    def __enter__(self) -> T:
        self._is_expected = False
        if self._was_entered:
            raise UsageError(AGAIN + self._within)
        self._was_entered = True
        return self._inside.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside.__exit__(kind, error, trace)

    def __del__(self) -> None:
        if self._is_expected:
            warnings.warn(f"never entered: {self._within}", RuntimeWarning, stacklevel=2)

    if not TYPE_CHECKING:  # which says so before the program runs

        def __iter__(self) -> Iterator[T]:
            self._is_expected = False  # one error is enough
            raise UsageError(self._within)

        __next__ = __iter__

        def __getattr__(self, name: str) -> object:
            self._is_expected = False
            raise AttributeError(f"no {name} outside: {self._within}")
