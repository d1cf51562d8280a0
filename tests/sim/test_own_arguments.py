"""`simulate` says what to pass when it was given something else."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.faults import Fault
from raftwerk.sim.own_arguments import check_arguments
from raftwerk.sim.own_machine import simulate
from tests.sim.test_own_machine import Tickets, workload


class WithSize(Tickets):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


class WithoutLoad:
    def apply(self, command: bytes) -> object:
        return command

    def dump(self) -> bytes:
        return b""


class Later(Tickets):
    async def apply(self, command: bytes) -> object:
        return super().apply(command)


class Bare(Tickets):
    def apply(self) -> object:  # type: ignore[override]
        return None


ONE = Tickets()
GOOD = (1, Tickets, workload)


async def later(random: random.Random) -> bytes:
    return b""


def commands(random: random.Random) -> Iterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((-1, Tickets, workload), "seed is an int, 0 or more, not -1"),
        (("1", Tickets, workload), "seed is an int, 0 or more, not '1'"),
        ((1, ONE, workload), "pass its class, or a function .*; not <.*Tickets object"),
        ((1, WithSize, workload), r"`lambda: Tickets\(size=3\)`; not <class .*WithSize"),
        ((1, lambda: ONE, workload), "a new state machine each time, .* gave <.*> twice"),
        ((1, WithoutLoad, workload), r"load\(self, data\).*WithoutLoad object.* has no load"),
        ((1, Later, workload), "no async, no yield.* has another apply: <bound method Later.apply"),
        ((1, Bare, workload), "has another apply: <bound method Bare.apply"),
        ((1, dict, workload), r"\{\} has no apply"),
        ((1, Tickets, [b"ann"]), r"gets a random.Random and returns .*; not \[b'ann'\]"),
        ((1, Tickets, lambda: b"ann"), "def workload.*; not <function"),
        ((1, Tickets, later), "def workload.*; not <function later"),
        ((1, Tickets, commands), "def workload.*; not <function commands"),
        ((*GOOD, [1, 2]), r"oracle is a function that gets all commands.* not \[1, 2\]"),
        ((*GOOD, lambda: [1]), "oracle is a function that gets all commands.* not <function"),
        ((*GOOD, lambda names, results: [1]), "oracle is a function that gets all commands"),
    ],
)
def test_wrong_argument_is_told_as_what_to_pass(given: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UsageError, match=f"simulate: .*{says}"):
        simulate(*given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"options": {"nodes": 3}}, "options are a raftwerk.sim.options.Options, not {'nodes': 3}"),
        ({"faults": ["crash"]}, r"faults are a list of raftwerk.sim.faults.Fault, not \['crash'\]"),
        ({"faults": [Fault(1, "flood", 1)]}, "one of the kinds crash, .*kind='flood'"),
        ({"file": "trace.jsonl"}, "a text file that is open for writing, not 'trace.jsonl'"),
    ],
    ids=["options", "faults", "kind", "file"],
)
def test_wrong_option_is_told_as_what_to_pass(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=f"simulate: .*{says}"):
        simulate(*GOOD, **given)


def test_text_of_what_is_long_is_cut() -> None:
    with pytest.raises(UsageError) as caught:
        simulate(1, Tickets, "x" * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 400


def test_whatever_can_be_called_as_documented_is_taken() -> None:
    """A class without a signature to look at, a bound method, optional arguments, a callable object."""

    class Asks:
        def __call__(self, random: random.Random, more: int = 1) -> bytes:
            return b""

        def oracle(self, names: object) -> list[object]:
            return []

    check_arguments(0, lambda size=1: WithSize(size), Asks(), Asks().oracle, None, [], None)
    check_arguments(0, Tickets, Asks(), None, None, None, None)
    check_arguments(0, Tickets, Asks(), list, None, None, None)
