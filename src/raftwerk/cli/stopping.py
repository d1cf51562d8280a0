"""What a signal asks for, in a program without an event loop."""

import os
import select
import signal
from collections.abc import Iterable
from types import FrameType


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
