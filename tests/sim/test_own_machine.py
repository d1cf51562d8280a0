"""An example: a state machine of one's own under the simulator, once right and once with an `apply` that is not deterministic."""

from collections.abc import Sequence
from itertools import count

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.cluster import Cluster, Kit
from raftwerk.sim.machines import Home
from tests.replica.fakes import ListMachine

LIVES = count()


class Counter(ListMachine):
    """Adds up the lengths of its commands."""

    def apply(self, commands: Sequence[bytes], index: int, position: bytes) -> list[object]:
        super().apply(commands, index, position)
        total = sum(map(len, self.commands))
        return [total - sum(map(len, commands[place + 1 :])) for place in range(len(commands))]


class Careless(Counter):
    """Answers with something of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.number = next(LIVES)

    def apply(self, commands: Sequence[bytes], index: int, position: bytes) -> list[object]:
        return [(self.number, result) for result in super().apply(commands, index, position)]


class CounterHome(Home):
    """Keeps what the last checkpoint made durable."""

    def __init__(self, kind: type[Counter]) -> None:
        self._kind = kind
        self._machine = kind()

    def open(self) -> Counter:
        commands, position = self._machine.durable
        self._machine = self._kind()
        self._machine.commands, self._machine.position = list(commands), position
        self._machine.durable = (list(commands), position)
        return self._machine


def run(kind: type[Counter]) -> list[object]:
    """Twenty commands, and a crash of everybody half-way."""
    kit = Kit(
        lambda: CounterHome(kind),
        kind,
        lambda machine, oracle: None,
    )
    cluster, answers = Cluster(1, kit=kit), list[object]()
    cluster.start_all()
    for number in range(20):
        cluster.nodes[cluster.wait_for_leader()].propose(b"x" * number, answers.append)
        cluster.run_ms(300)
        if number == 10:
            for node_id in cluster.nodes:
                cluster.crash(node_id)
            cluster.start_all()
    return answers


def test_a_machine_of_ones_own_goes_on_after_crashes() -> None:
    answers = run(Counter)
    assert answers == [sum(range(number + 1)) for number in range(20)]


def test_an_apply_that_is_not_deterministic_is_caught() -> None:
    with pytest.raises(Violation, match="Equal state machines"):
        run(Careless)
