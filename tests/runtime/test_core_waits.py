"""What the kernel says of waiting for a core."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raftwerk.runtime.core_waits import CoreWaits


@contextmanager
def half_a_core() -> Iterator[None]:
    """This thread shares one core with another process that always has work."""
    cores = os.sched_getaffinity(0)
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for process in (0, other.pid):
            os.sched_setaffinity(process, {min(cores)})
        yield
    finally:
        os.sched_setaffinity(0, cores)
        other.kill()
        other.wait()


def work(seconds: float) -> None:
    """Have a core for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_who_shares_a_core_waits_for_it() -> None:
    waits = CoreWaits()
    before_s, began_s = waits.total_s(), time.monotonic()
    with half_a_core():
        work(0.2)
    waited_s, took_s = waits.total_s() - before_s, time.monotonic() - began_s
    assert 0.02 < waited_s < took_s
    waits.close()


def test_who_sleeps_does_not_wait() -> None:
    waits = CoreWaits()
    before_s = waits.total_s()
    threading.Event().wait(0.05)
    assert waits.total_s() - before_s < 0.05
    waits.close()


def test_nothing_is_told_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert CoreWaits(str(tmp_path / "none")).total_s() == 0.0


def test_nothing_is_told_after_close() -> None:
    waits = CoreWaits()
    waits.close()
    waits.close()
    assert waits.total_s() == 0.0
