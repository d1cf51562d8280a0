"""Waiting for what nobody tells of: it is asked again and again, with pauses, or the asking would keep the processors busy."""

import threading
import time
from collections.abc import Callable
from typing import Final

PAUSE_S: Final = 0.02
PATIENCE_S: Final = 60.0

_NEVER: Final = threading.Event()


def pause() -> None:
    """Between two questions."""
    _NEVER.wait(PAUSE_S)


def until(condition: Callable[[], bool], what: str = "it never happens") -> None:
    """Wait for it. Raises AssertionError when that takes a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        pause()
