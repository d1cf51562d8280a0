"""What the process has beside a machine's state is different elsewhere, and here it is as it was."""

import random
import time

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.own_elsewhere import AHEAD_S, apply_elsewhere
from tests.sim.test_own_machine import Tickets


class Draws(Tickets):
    def apply(self, command: bytes) -> object:
        return random.random()


class Seeded(Tickets):
    def apply(self, command: bytes) -> object:
        random.seed(command)
        return random.random()


class Clock(Tickets):
    def apply(self, command: bytes) -> object:
        return time.time(), time.time_ns()


def test_global_numbers_are_others_in_each_stream_and_touched_is_told() -> None:
    before = random.getstate()
    (one, one_end), (other, other_end) = (apply_elsewhere(Draws(), b"", k) for k in (1, 2))
    assert one != other
    assert None not in (one_end, other_end)
    assert one_end != other_end
    assert apply_elsewhere(Draws(), b"", 1) == (one, one_end)
    assert apply_elsewhere(Tickets(), b"ann", 1) == (1, None)
    assert random.getstate() == before


def test_numbers_that_the_command_seeds_are_the_same_in_each_stream() -> None:
    assert apply_elsewhere(Seeded(), b"7", 1) == apply_elsewhere(Seeded(), b"7", 2)


def test_time_is_an_hour_later() -> None:
    before = time.time()
    ahead, _ = apply_elsewhere(Clock(), b"", 1)
    assert isinstance(ahead, tuple)
    assert before + AHEAD_S <= ahead[0] <= time.time() + AHEAD_S
    assert ahead[0] <= ahead[1] / 1e9 <= time.time() + AHEAD_S


def test_all_is_as_it_was_after_an_apply_that_raises() -> None:
    class Failing(Tickets):
        def apply(self, command: bytes) -> object:
            random.seed(1)
            raise ValueError

    before = random.getstate()
    with pytest.raises(Violation, match="apply raised"):
        apply_elsewhere(Failing(), b"", 1)
    assert random.getstate() == before
    assert time.time() - time.time_ns() / 1e9 < 1
