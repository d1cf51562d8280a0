"""Signals, at any moment."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from raftwerk.cli.stopping import PutOff, Stopping

SIGNALS_AT_ANY_MOMENT = """
import signal
from raftwerk.cli.stopping import Stopping
heard = []
class Counting(Stopping):
    def _hear(self, number, frame):
        heard.append(number)
        super()._hear(number, frame)
stopping = Counting([signal.SIGALRM])
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
while len(heard) < 500:
    stopping.wait(0.00005)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@contextmanager
def handlers_kept(number: signal.Signals) -> Iterator[None]:
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_it_waits_until_a_signal_comes_and_not_after_that() -> None:
    with handlers_kept(signal.SIGUSR1):
        stopping = Stopping([signal.SIGUSR1])
        assert not stopping.wait(0.001)
        signal.raise_signal(signal.SIGUSR1)
        assert stopping.wait(60.0)
        signal.raise_signal(signal.SIGUSR1)
        assert stopping.wait(60.0)


def test_signal_at_any_moment_of_a_wait() -> None:
    """It never waits for itself."""
    subprocess.run([sys.executable, "-c", SIGNALS_AT_ANY_MOMENT], timeout=20.0, check=True)


@contextmanager
def heard(number: signal.Signals) -> Iterator[list[int]]:
    """What a handler of this signal is told."""
    told: list[int] = []
    with handlers_kept(number):
        signal.signal(number, lambda number, _: told.append(number))
        yield told


def test_signal_that_is_put_off_is_told_at_the_end() -> None:
    with heard(signal.SIGUSR1) as told:
        with PutOff([signal.SIGUSR1]):
            signal.raise_signal(signal.SIGUSR1)
            assert told == []
        assert told == [signal.SIGUSR1]
        signal.raise_signal(signal.SIGUSR1)
        assert told == [signal.SIGUSR1] * 2


def test_after_one_that_is_let_in_and_ends_the_block_others_are_put_off() -> None:
    """So what cleans up is not interrupted either."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    cleaned = []

    def work() -> None:
        with PutOff([signal.SIGUSR1]) as put_off:
            try:
                signal.raise_signal(signal.SIGUSR1)
                with put_off.let_in():
                    raise AssertionError("it was not let in")
            finally:
                signal.raise_signal(signal.SIGUSR1)
                cleaned.append("all")

    with handlers_kept(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, end)
        with pytest.raises(KeyboardInterrupt):
            work()
    assert cleaned == ["all"]


def test_signal_is_let_in_where_it_may_come() -> None:
    with heard(signal.SIGUSR1) as told:
        with PutOff([signal.SIGUSR1]) as put_off:
            signal.raise_signal(signal.SIGUSR1)
            with put_off.let_in():
                assert len(told) == 1
                signal.raise_signal(signal.SIGUSR1)
                assert len(told) == 2
                with PutOff([signal.SIGUSR1]):
                    signal.raise_signal(signal.SIGUSR1)
                    assert len(told) == 2
                assert len(told) == 3
            signal.raise_signal(signal.SIGUSR1)
            assert len(told) == 3
        assert len(told) == 4
