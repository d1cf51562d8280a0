"""What `simulate` notices of a state machine of one's own; and its durable form."""

import re
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


REBORN = "Equal state machines: b'...' gave .*; a machine that had loaded the dump"


@pytest.mark.parametrize(
    ("machine", "seed", "says"),
    [
        (Whimsical, 2, "Equal state machines: after b'...' the dump is .*loaded the dump before"),
        (Forgetful, 2, f"{REBORN}.*dump and load leave out"),
        (Failing, 2, "Apply never raises: apply raised for b'...'(?s:.)*raise ValueError"),
        (WrongAfterALoad, 1, "Equal state machines: node . has another dump at"),
        (WrongForAMoment, 5, "Equal state machines: node . has another dump at"),
        (WrongAnswer, 1, "Equal state machines: node . at .* gave -"),
    ],
)
def test_defect_is_caught(machine: type[Tickets], seed: int, says: str) -> None:
    with pytest.raises(Violation, match=says):
        simulate(seed, machine, workload)


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
