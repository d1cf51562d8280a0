"""Which process this is, told without asking the system with each call."""

import os


class _ThisProcess:
    """Forks made by os.fork and multiprocessing are noticed; nothing else of Python makes one that goes on with Python."""

    def __init__(self) -> None:
        self.number = os.getpid()
        os.register_at_fork(after_in_child=self._was_forked)

    def _was_forked(self) -> None:
        self.number = os.getpid()


THIS_PROCESS = _ThisProcess()
