"""Which process this is: known without asking the system, for who asks with each call."""

import os
from typing import Final


class Process:
    """number: its id, also in a fork, where it is another one. Not in one that Python is not told of (os.register_at_fork)."""

    def __init__(self) -> None:
        self.number = os.getpid()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.number = os.getpid()


THIS: Final = Process()
