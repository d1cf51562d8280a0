"""How long a thread has waited for a core to run on, by the kernel's own count."""

import os
from typing import Final

SCHEDSTAT: Final = "/proc/thread-self/schedstat"
"""Of Linux: nanoseconds on a core, nanoseconds of waiting for one, and how often."""


class CoreWaits:
    """Of the thread that opens it. Where the system does not tell, or not any more, it is nothing."""

    def __init__(self, path: str = SCHEDSTAT) -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> None:
        """`close` is needed after it."""
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def total_s(self) -> float:
        """Since the thread began. Raises nothing: what only tells how a node does must not end it."""
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 96, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # the thread that opened it is no more
            self.close()
            return 0.0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
