"""A state machine of one's own in the simulator; and a careless one, which is caught."""

import random

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.own_machine import simulate


class Tickets:
    """Hands out numbers: a command is the name of who wants one, its result the number."""

    def __init__(self) -> None:
        self.names: list[bytes] = []

    def apply(self, command: bytes) -> object:
        self.names.append(command)
        return len(self.names)

    def dump(self) -> bytes:
        return b"".join(name + b"\n" for name in self.names)

    def load(self, data: bytes) -> None:
        self.names = data.splitlines()


class Raffle(Tickets):
    """Careless: each node draws a winner of its own."""

    def apply(self, command: bytes) -> object:
        super().apply(command)
        return random.choice(self.names)


def workload(random: random.Random) -> bytes:
    return random.choice([b"ann", b"bob", b"eve"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_numbers_go_up_whatever_happens(seed: int) -> None:
    report = simulate(seed, Tickets, workload, oracle=lambda names: range(1, len(names) + 1))
    assert report.operations > 0


def test_an_apply_that_is_not_deterministic_is_caught() -> None:
    with pytest.raises(Violation, match="Equal state machines"):
        simulate(1, Raffle, workload)
