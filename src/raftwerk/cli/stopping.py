"""What a signal asks for, in a program without an event loop: known when it is asked for, or told when the moment is good."""

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class Stopping:
    """Whether one of the signals has come.

    Not a threading.Event: a handler that sets one while it is waited for can wait for ever for the lock that the wait has.
    """

    def __init__(self, numbers: Iterable[signal.Signals] = ()) -> None:
        self._told, self._tell = os.pipe()
        for number in numbers:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.tell()

    def tell(self) -> None:
        """As a signal does."""
        if not self.wait(0):
            os.write(self._tell, b"!")

    def wait(self, timeout_s: float) -> bool:
        """For so long, or until one comes. Returns whether one has."""
        return bool(select.select([self._told], [], [], timeout_s)[0])


class PutOff:
    """`with` it, signals wait for its end, or for where they are let in: what must be done whole is not interrupted."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._handlers: dict[int, Any] = {}
        """Those that are in place elsewhere."""
        self._came: list[int] = []

    def __enter__(self) -> Self:
        for number in self._numbers:
            self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._let_in()

    @contextmanager
    def let_in(self) -> Iterator[None]:
        """In this block signals do at once what they do elsewhere, those first that have come before."""
        try:
            self._let_in()
            yield
        finally:
            self.__enter__()

    def _let_in(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        came, self._came = self._came, []
        for number in came:
            signal.raise_signal(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)
