"""A command as another node would execute it: what the process has beside the machine's state is different there.

All nodes of a simulation live in one process. They share the global random numbers, whose draws may come out alike by
chance, and the clock, by which a few seconds seldom change anything: both hide what would part real nodes.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from raftwerk.sim.own_memory import OwnMachine, apply_one

AHEAD_S: Final = 3_600


def apply_elsewhere(machine: OwnMachine, command: bytes, stream: int) -> tuple[object, object]:
    """Execute it with other global random numbers, those of a stream, and with `time.time` an hour ahead.

    Returns the result, and where the global numbers stand then; None: they were not touched.
    """
    here = random.getstate()
    random.seed(stream)
    began = random.getstate()
    try:
        with _time_ahead():
            result = apply_one(machine, command)
        end = random.getstate()
    finally:
        random.setstate(here)
    return result, None if end == began else end


@contextmanager
def _time_ahead() -> Iterator[None]:
    """For who asks the module. A function that was imported from it, and datetime, tell the time that it is."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + AHEAD_S
    time.time_ns = lambda: nanoseconds() + AHEAD_S * 10**9
    try:
        yield
    finally:
        time.time, time.time_ns = seconds, nanoseconds
