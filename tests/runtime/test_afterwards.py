"""What follows a step: in the same turn of the loop, whatever one of them raises."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from raftwerk.kv.commands import Put, encode
from raftwerk.runtime.afterwards import TIME_S, Afterwards
from tests.runtime.nodes import run, running, settings_of
from tests.runtime.peers import until
from tests.server.fakes import FakeLoop


class Loop(FakeLoop):
    """Keeps what it is told of exceptions."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.told.append(context)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def afterwards(loop: Loop) -> Afterwards:
    return Afterwards(loop)


def test_what_is_asked_for_in_a_step_comes_at_its_end(afterwards: Afterwards) -> None:
    seen: list[str] = []
    with afterwards:
        afterwards.soon(lambda: seen.append("first"))
        afterwards.soon(lambda: seen.append("second"))
        seen.append("step")
    assert seen == ["step", "first", "second"]
    with afterwards:
        pass
    assert len(seen) == 3


def test_outside_of_a_step_it_is_a_callback_of_the_loop(afterwards: Afterwards, loop: Loop) -> None:
    seen: list[str] = []
    with afterwards:
        pass
    afterwards.soon(lambda: seen.append("action"))
    assert seen == []
    loop.settle()
    assert seen == ["action"]


def test_what_it_asks_for_comes_at_once_too_but_not_for_ever(
    afterwards: Afterwards, loop: Loop
) -> None:
    """A connection writes what calls have put together; a stream that goes on and on lets the loop live."""
    seen: list[int] = []

    def go_on() -> None:
        seen.append(len(seen))
        if len(seen) < 5:
            afterwards.soon(go_on)

    with afterwards:
        afterwards.soon(go_on)
    assert seen == [0, 1]
    loop.settle()
    assert seen == [0, 1, 2, 3, 4]


def test_what_takes_long_takes_its_turn_in_the_loop(loop: Loop) -> None:
    """In the order in which it was asked for."""

    def clock() -> float:
        loop.now_s += 0.4 * TIME_S
        return loop.now_s

    afterwards = Afterwards(loop, clock)
    seen: list[int] = []
    with afterwards:
        for number in range(7):
            afterwards.soon(lambda number=number: seen.append(number))  # type: ignore[misc]
    assert seen == [0, 1, 2]
    loop.turn()
    assert seen == list(range(7))


def test_end_of_the_program_leaves_what_is_left_to_the_loop(
    afterwards: Afterwards, loop: Loop
) -> None:
    seen: list[str] = []

    def leave() -> None:
        raise SystemExit

    def step() -> None:
        with afterwards:
            afterwards.soon(leave)
            afterwards.soon(lambda: seen.append("second"))

    with pytest.raises(SystemExit):
        step()
    afterwards.soon(lambda: seen.append("outside of a step"))
    loop.settle()
    assert seen == ["second", "outside of a step"]


def test_one_that_fails_is_told_and_holds_up_nobody(afterwards: Afterwards, loop: Loop) -> None:
    seen: list[str] = []
    error = ValueError("broken")

    def fail() -> None:
        raise error

    with afterwards:
        afterwards.soon(fail)
        afterwards.soon(lambda: seen.append("after it"))
    assert seen == ["after it"]
    (told,) = loop.told
    assert told["exception"] is error
    assert "after a step" in told["message"]


def test_a_step_that_fails_has_its_answers_sent(afterwards: Afterwards) -> None:
    seen: list[str] = []

    def step() -> None:
        with afterwards:
            afterwards.soon(lambda: seen.append("answer"))
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        step()
    assert seen == ["answer"]


def test_answers_of_a_step_go_out_at_its_end(tmp_path: Path) -> None:
    """Before anything else happens in the loop."""

    async def body() -> None:
        async with running(*settings_of(tmp_path)) as [node]:
            await node.wait_ready()
            loop = asyncio.get_running_loop()
            seen: list[str] = []

            def done(_: object) -> None:
                seen.append("done")
                loop.call_soon(seen.append, "next turn")
                node.soon(lambda: seen.append("sent"))

            for number in range(3):
                node.propose(encode(Put(b"k%d" % number, b"")), done)
            await until(lambda: len(seen) == 9)
            assert seen == ["done"] * 3 + ["sent"] * 3 + ["next turn"] * 3

    run(body)
