"""Long reads take turns, and none gets a slice that nobody waits for."""

from collections.abc import Callable, Generator, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from raftwerk.api import status
from raftwerk.http2.call import Request
from raftwerk.http2.server import Call
from raftwerk.server.slices import ACTIVE_MAX, TURN_S, WAITING_MAX, Slices, Steps
from tests.server.fakes import FakeLoop


class FakeCall:
    """As much of a call as slices look at."""

    def __init__(self) -> None:
        self.is_over = False
        self.request = cast("Request", SimpleNamespace(path="/test.Service/Call"))
        self.refusal: tuple[int, str] | None = None

    def finish(self, code: int, text: str) -> None:
        self.refusal = code, text


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


def timed(loop: FakeLoop, log: list[str], name: str, slices: int = 1) -> Steps:
    """Three slices are more than a turn has time for."""
    for number in range(slices):
        loop.now_s += 0.4 * TURN_S
        log.append(f"{name}{number}")
        if number < slices - 1:
            yield


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
    assert log[-3:] == ["0.1", "0. closed", "late 0"]
    loop.turn()
    assert log[-2:] == ["1.1", "1. closed"]
    loop.settle()
    assert log[-2:] == ["late 1", "late  closed"]
    assert not loop.turn()


def test_short_read_waits_for_no_long_one(loop: FakeLoop, slices: Slices) -> None:
    """If it turns out to be long, it does, and holds nothing meanwhile: it begins anew."""
    log: list[str] = []
    for number in range(ACTIVE_MAX):
        slices.start(call(), work(log, f"{number}.", 3))
    slices.answer_short(call(), lambda: work(log, "short ", 1))
    slices.answer_short(call(), lambda: work(log, "longer ", 2))
    assert log[-4:] == ["short 0", "short  closed", "longer 0", "longer  closed"]
    while "0. closed" not in log:
        assert "longer 1" not in log
        loop.turn()
    loop.settle()
    assert log[-2:] == ["longer 1", "longer  closed"]
    assert log.count("longer 0") == 2


def test_short_reads_that_turn_out_to_be_long_are_refused_as_long_ones(
    loop: FakeLoop, slices: Slices
) -> None:
    for _ in range(ACTIVE_MAX + WAITING_MAX):
        slices.start(call(), work([], "", 3))
    late = FakeCall()
    slices.answer_short(cast("Call", late), lambda: work([], "", 2))
    assert late.refusal == status.TOO_MANY_REQUESTS


def test_short_answer_for_a_call_that_is_over_is_not_made(loop: FakeLoop, slices: Slices) -> None:
    answered: list[str] = []
    calls = [FakeCall(), FakeCall()]

    def first() -> None:
        answered.append("first")
        loop.now_s += 1

    slices.answer_soon(cast("Call", calls[0]), first)
    slices.answer_soon(cast("Call", calls[1]), lambda: answered.append("second"))
    calls[1].is_over = True
    loop.settle()
    assert answered == ["first"]


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


def test_read_that_breaks_off_in_a_later_slice_is_answered_all_the_same(
    loop: FakeLoop, slices: Slices
) -> None:
    def broken() -> Steps:
        yield
        raise ValueError("broken")

    one = FakeCall()
    slices.answer(cast("Call", one), broken())
    loop.settle()
    assert one.refusal == status.NO_ANSWER


def test_short_reads_that_come_together_hold_the_loop_only_so_long(
    loop: FakeLoop, slices: Slices
) -> None:
    """However many one step releases."""
    log: list[str] = []
    for name in "abcdefgh":
        slices.start(call(), timed(loop, log, name))
    assert log == ["a0", "b0", "c0"]
    loop.turn()
    assert log == ["a0", "b0", "c0", "d0", "e0", "f0"]
    loop.turn()
    assert log[6:] == ["g0", "h0"]
    assert not loop.turn()


def test_reads_begin_in_the_order_in_which_they_came(loop: FakeLoop, slices: Slices) -> None:
    """One that comes when a place is free stands behind those that wait for it."""
    log: list[str] = []
    for number in range(ACTIVE_MAX):
        slices.start(call(), work(log, f"{number}.", 2))
    slices.start(call(), work(log, "early ", 1))
    loop.turn()
    slices.start(call(), work(log, "late ", 1))
    loop.settle()
    assert log.index("early 0") < log.index("late 0")


def test_short_reads_do_not_hold_up_a_long_one(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    slices.start(call(), timed(loop, log, "long", 3))
    for _ in range(3):
        for _ in range(4):
            slices.start(call(), timed(loop, log, "short"))
        loop.turn()
    assert "long2" in log


def test_read_of_a_call_is_refused_when_too_many_wait(loop: FakeLoop, slices: Slices) -> None:
    log: list[str] = []
    for _ in range(3):
        slices.start(call(), timed(loop, log, "first"))
    late = [FakeCall() for _ in range(WAITING_MAX + 1)]
    for one in late:
        slices.answer(cast("Call", one), work(log, "late ", 1))
    assert {one.refusal for one in late[:-1]} == {None}
    assert late[-1].refusal == status.TOO_MANY_REQUESTS
    loop.settle()
    assert log.count("late 0") == WAITING_MAX


def short(
    loop: FakeLoop, log: list[str], name: str, seconds: float = 0.4 * TURN_S
) -> Callable[[], None]:
    def answer() -> None:
        loop.now_s += seconds
        log.append(name)

    return answer


def test_short_answers_that_come_together_hold_the_loop_only_so_long(
    loop: FakeLoop, slices: Slices
) -> None:
    """And leave in the order in which they came."""
    log: list[str] = []
    for name in "abcdefg":
        slices.answer_soon(call(), short(loop, log, name))
    assert "".join(log) == "abc"
    loop.turn()
    slices.answer_soon(call(), short(loop, log, "h"))
    assert "".join(log) == "abcdef"
    loop.turn()
    assert "".join(log) == "abcdefgh"
    assert not loop.turn()


def test_short_answers_do_not_wait_for_long_reads_nor_hold_them_up(
    loop: FakeLoop, slices: Slices
) -> None:
    log: list[str] = []
    for number in range(ACTIVE_MAX):
        slices.start(call(), work(log, f"{number}.", 2))
    slices.start(call(), work(log, "late ", 1))
    for name in "abcde":
        slices.answer_soon(call(), short(loop, log, name, seconds=0.1))
    assert "a" in log
    for _ in range(3):
        loop.turn()
    assert {"b", "c", "d", "late 0"} < set(log)
    assert "e" not in log
    assert "0.1" in log


def test_short_answer_that_cannot_be_made_later_is_refused(loop: FakeLoop, slices: Slices) -> None:
    def broken() -> None:
        raise ValueError("broken")

    one = FakeCall()
    slices.answer_soon(call(), short(loop, [], "long", seconds=0.1))
    slices.answer_soon(cast("Call", one), broken, status.DONE_NO_ANSWER)
    assert one.refusal is None
    loop.settle()
    assert one.refusal == status.DONE_NO_ANSWER
