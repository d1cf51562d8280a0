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
    waits.open()
    before_s, began_s = waits.total_s(), time.monotonic()
    with half_a_core():
        work(0.2)
    waited_s, took_s = waits.total_s() - before_s, time.monotonic() - began_s
    assert 0.02 < waited_s < took_s
    waits.close()


def test_who_sleeps_does_not_wait() -> None:
    waits = CoreWaits()
    waits.open()
    before_s = waits.total_s()
    threading.Event().wait(0.05)
    assert waits.total_s() - before_s < 0.05
    waits.close()


def test_nothing_is_told_where_the_system_does_not_tell(tmp_path: Path) -> None:
    waits = CoreWaits(str(tmp_path / "none"))
    waits.open()
    assert waits.total_s() == 0.0


def test_nothing_is_told_before_open_and_after_close() -> None:
    waits = CoreWaits()
    assert waits.total_s() == 0.0
    waits.open()
    waits.close()
    waits.close()
    assert waits.total_s() == 0.0


def test_nothing_is_told_of_a_thread_that_is_no_more() -> None:
    waits = CoreWaits()
    thread = threading.Thread(target=waits.open)
    thread.start()
    thread.join()
    while waits.total_s():
        """The kernel has not seen its end yet."""
    assert waits.total_s() == 0.0


def test_what_is_not_as_it_should_be_is_not_told(tmp_path: Path) -> None:
    for text in ("", "1", "1 x 2"):
        (tmp_path / "odd").write_text(text)
        waits = CoreWaits(str(tmp_path / "odd"))
        waits.open()
        assert waits.total_s() == 0.0
