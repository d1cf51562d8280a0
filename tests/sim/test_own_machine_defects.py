"""What `simulate` notices of a state machine of one's own; and its durable form."""

import random
import re
import time
import uuid
from collections.abc import Sequence

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.own_machine import Oracle, simulate
from raftwerk.sim.run import plan
from tests.sim.test_own_machine import Tickets, workload


class Whimsical(Tickets):
    """Its answers are right; its state has something of its own."""

    def apply(self, command: bytes) -> object:
        return super().apply(command + b"%d" % id(self))


class Forgetful(Tickets):
    """Counts beside what it dumps."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def apply(self, command: bytes) -> object:
        super().apply(command)
        self.count += 1
        return self.count


class Draws(Tickets):
    """Its state is its own."""

    def apply(self, command: bytes) -> object:
        super().apply(command)
        return random.random()


class SeldomDraws(Tickets):
    """Draws, and what it does with it is the same in all runs but one of very many."""

    def apply(self, command: bytes) -> object:
        return super().apply(command + b"!" * (random.random() < 1e-12))


class Expires(Tickets):
    """By the time of the day, in minutes: a run takes seconds."""

    def apply(self, command: bytes) -> object:
        return super().apply(command + b"%d" % (time.time() // 60))


class Identified(Tickets):
    def apply(self, command: bytes) -> object:
        return super().apply(command + uuid.uuid4().bytes)


class Seeds(Tickets):
    """The global random numbers, by the command: they are the same everywhere."""

    def apply(self, command: bytes) -> object:
        random.seed(command)
        return super().apply(command), random.random()


class Failing(Tickets):
    """Raises for a command."""

    def apply(self, command: bytes) -> object:
        raise ValueError(command)


class WrongAfterALoad(Tickets):
    """The third command after a load is not like the first."""

    def __init__(self) -> None:
        super().__init__()
        self.until_wrong = 0

    def load(self, data: bytes) -> None:
        super().load(data)
        self.until_wrong = 3

    def apply(self, command: bytes) -> object:
        self.until_wrong -= 1
        return self.wrong(command) if self.until_wrong == 0 else super().apply(command)

    def wrong(self, command: bytes) -> object:
        return super().apply(command + b"!")


class WrongAnswer(WrongAfterALoad):
    """The state is right."""

    def wrong(self, command: bytes) -> object:
        return -super().apply(command)  # type: ignore[operator]


class WrongForAMoment(WrongAfterALoad):
    """The command after that makes the state right again."""

    flaw = b""

    def apply(self, command: bytes) -> object:
        self.flaw = b""
        return super().apply(command)

    def wrong(self, command: bytes) -> object:
        self.flaw = b"!"
        return Tickets.apply(self, command)

    def dump(self) -> bytes:
        return super().dump() + self.flaw


class AllNames(Tickets):
    """Its results cannot be hashed."""

    def apply(self, command: bytes) -> object:
        super().apply(command)
        return list(self.names)


ALL_ALIKE = "Equal state machines: at index .*, b'...'"
ELSEWHERE = r"\. There: in a machine that had loaded the dump .* an hour later by time.time"
RANDOM = f"{ELSEWHERE}. apply draws from the global `random`"
NOT_DETERMINISTIC = f"{ELSEWHERE}. apply is not deterministic, or dump and load leave out"

ANOTHER_DUMP = (
    r"Equal state machines: node . has another dump at index \d+, after \d+ commands, than .* elsewhere; "
    r"it has, and they give once more, \.\.\.b'.*!.*' at byte \d+, and"
)


@pytest.mark.parametrize(
    ("machine", "seed", "says"),
    [
        (Whimsical, 2, f"{ALL_ALIKE} left the dump .* at byte .*, and .*{NOT_DETERMINISTIC}"),
        (Draws, 2, rf"{ALL_ALIKE} gave 0\..*, and there 0\..*{RANDOM}"),
        (SeldomDraws, 2, f"{ALL_ALIKE} came out alike, by chance{RANDOM}"),
        (Expires, 2, f"{ALL_ALIKE} left the dump .*{NOT_DETERMINISTIC}"),
        (Identified, 2, f"{ALL_ALIKE} left the dump .*{NOT_DETERMINISTIC}"),
        (Forgetful, 2, f"{ALL_ALIKE} gave .*, and there .*{NOT_DETERMINISTIC}"),
        (Failing, 2, "Apply never raises: apply raised for b'...'(?s:.)*raise ValueError"),
        (WrongAfterALoad, 1, ANOTHER_DUMP),
        (WrongForAMoment, 5, ANOTHER_DUMP),
        (WrongAnswer, 1, "Equal state machines: node . at .* gave -"),
    ],
)
def test_defect_is_caught(machine: type[Tickets], seed: int, says: str) -> None:
    with pytest.raises(Violation, match=says):
        simulate(seed, machine, workload)


@pytest.mark.parametrize("machine", [Draws, SeldomDraws, Expires, Identified])
@pytest.mark.parametrize("seed", range(10, 15))
def test_what_differs_between_nodes_is_caught_in_every_run(
    machine: type[Tickets], seed: int
) -> None:
    """With the very first command, whatever the faults are: also on a node that is alone."""
    with pytest.raises(Violation, match=r"Equal state machines: at index [23],"):
        simulate(seed, machine, workload)


def test_numbers_that_the_commands_seed_are_taken() -> None:
    assert simulate(2, Seeds, workload).operations > 0


@pytest.mark.parametrize("drawn", ["text", None, bytearray(b"ann")])
def test_workload_that_gives_no_bytes_is_told(drawn: object) -> None:
    says = re.escape(f"Workload: it returns the next command as bytes; it returned {drawn!r}")
    with pytest.raises(Violation, match=f"{says}(?s:.)*seed 2,"):
        simulate(2, Tickets, lambda _random: drawn)  # type: ignore[arg-type,return-value]


def test_result_may_be_of_any_type() -> None:
    def oracle(names: Sequence[bytes]) -> list[object]:
        return [list(names[:count]) for count in range(1, len(names) + 1)]

    assert simulate(2, AllNames, workload, oracle).operations > 0


@pytest.mark.parametrize(
    ("oracle", "says"),
    [
        (lambda names: [1 for _ in names], "command 2 of .*, b'...', gave 2, the oracle says 1"),
        (lambda names: range(1, len(names)), "a result for each of .* commands, it says"),
        (lambda names: len(names), "a result for each of them, it returned [0-9]+"),
    ],
    ids=["wrong", "short", "number"],
)
def test_what_is_wrong_everywhere_is_the_oracle_s_to_say(oracle: Oracle, says: str) -> None:
    with pytest.raises(Violation, match=rf"Oracle: .*{says}(?s:.)*seed 2,"):
        simulate(2, Tickets, workload, oracle)


def test_run_is_the_same_again_and_full_of_faults() -> None:
    one, other = (simulate(2, Tickets, workload) for _ in range(2))
    assert one.hash == other.hash
    assert one.operations > 20
    assert one.coverage["checkpoint: durable"] > 0
    assert sum(one.coverage[f"fault: {kind}"] for kind in {f.kind for f in plan(2)[1]}) > 0
