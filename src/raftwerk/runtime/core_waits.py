"""How long a thread has waited for a core to run on, by the kernel's own count."""

import os
from typing import Final

SCHEDSTAT: Final = "/proc/thread-self/schedstat"
"""Of Linux: nanoseconds on a core, nanoseconds of waiting for one, and how often."""


class CoreWaits:
    """Of the thread that makes it. Where the system does not tell, it never waits."""

    def __init__(self, path: str = SCHEDSTAT) -> None:
        try:
            self._file: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def total_s(self) -> float:
        """Since the thread began."""
        if self._file is None:
            return 0.0
        return int(os.pread(self._file, 96, 0).split()[1]) / 1e9

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
