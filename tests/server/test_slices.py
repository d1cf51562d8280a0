"""Long reads take turns, and none gets a slice that nobody waits for."""

from collections.abc import Generator, Iterator
from typing import cast

import pytest

from raftwerk.http2.server import Call
from raftwerk.server.slices import ACTIVE_MAX, Slices, Steps
from tests.server.fakes import FakeLoop


class FakeCall:
    """As much of a call as slices look at."""

    def __init__(self) -> None:
        self.is_over = False


def call() -> Call:
    return cast("Call", FakeCall())


def work(log: list[str], name: str, slices: int) -> Steps:
    try:
        for number in range(slices):
            log.append(f"{name}{number}")
            if number < slices - 1:
                yield
    finally:
        log.append(f"{name} closed")


@pytest.fixture
def loop() -> Iterator[FakeLoop]:
    return FakeLoop()


@pytest.fixture
def slices(loop: FakeLoop) -> Slices:
    return Slices(loop)


def test_short_read_is_done_at_once(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    slices.start(call(), work(log, "a", 1))
    assert log == ["a0", "a closed"]
    assert not loop.turn()


def test_each_turn_of_the_loop_has_one_slice(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    slices.start(call(), work(log, "a", 3))
    assert log == ["a0"]
    loop.turn()
    assert log == ["a0", "a1"]
    loop.turn()
    assert log == ["a0", "a1", "a2", "a closed"]
    assert not loop.turn()


def test_two_reads_take_turns(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    slices.start(call(), work(log, "a", 3))
    slices.start(call(), work(log, "b", 3))
    loop.turn()
    assert log == ["a0", "b0", "a1"]
    loop.turn()
    assert log == ["a0", "b0", "a1", "b1"]
    loop.settle()
    assert log[-2:] == ["b2", "b closed"]


def test_only_so_many_reads_are_in_progress(loop: FakeLoop, slices: Slices) -> None:
    """Each holds what it has read: the others have read nothing yet, and get their turn when one ends."""
    log: list[str] = []
    for number in range(ACTIVE_MAX):
        slices.start(call(), work(log, f"{number}.", 2))
    slices.start(call(), work(log, "late ", 2))
    assert "late 0" not in log
    loop.turn()
    assert log[-2:] == ["0.1", "0. closed"]
    loop.turn()
    assert log[-1] == "late 0"
    loop.settle()
    assert log[-2:] == ["late 1", "late  closed"]
    assert not loop.turn()


def test_read_of_a_call_that_is_over_is_closed(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    cancelled = FakeCall()
    slices.start(cast("Call", cancelled), work(log, "a", 3))
    cancelled.is_over = True
    loop.settle()
    assert log == ["a0", "a closed"]


def test_read_that_breaks_does_not_hold_up_others(loop: FakeLoop, slices: Slices) -> None:
    def broken() -> Generator[None, None, None]:
        yield
        raise ValueError("broken")

    log: list[str] = []
    slices.start(call(), broken())
    slices.start(call(), work(log, "b", 2))
    with pytest.raises(ValueError, match="broken"):
        loop.turn()
    loop.settle()
    assert log == ["b0", "b1", "b closed"]
