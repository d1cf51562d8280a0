"""What `simulate` notices of a state machine of one's own; and its durable form."""

import itertools

import pytest

from raftwerk.errors import CorruptData
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import Violation
from raftwerk.sim.own_machine import NUMBER, InMemory, simulate
from raftwerk.sim.run import plan
from tests.sim.test_own_machine import Tickets, workload

LIVES = itertools.count()


class Whimsical(Tickets):
    """Its answers are right; its state has something of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.life = next(LIVES)

    def dump(self) -> bytes:
        return super().dump() + b"%d" % self.life


class Forgetful(Tickets):
    """Comes back from its durable state without its last name."""

    def load(self, data: bytes) -> None:
        super().load(data)
        self.names = self.names[:-1]


class Failing(Tickets):
    """Raises for a command."""

    def apply(self, command: bytes) -> object:
        raise ValueError(command)


@pytest.mark.parametrize(
    ("machine", "invariant"),
    [
        (Whimsical, "Equal state machines: node . has another state"),
        (Forgetful, "Equal state machines"),
        (Failing, "ValueError"),
    ],
)
def test_defect_is_caught(machine: type[Tickets], invariant: str) -> None:
    with pytest.raises(Violation, match=invariant):
        simulate(1, machine, workload)


def test_what_is_wrong_everywhere_is_the_oracle_s_to_say() -> None:
    with pytest.raises(Violation, match=r"Oracle: b'...' gave 2, the oracle says 1(?s:.)*seed 1,"):
        simulate(1, Tickets, workload, oracle=lambda names: [1 for _ in names])


def test_run_is_the_same_again_and_full_of_faults() -> None:
    one, other = (simulate(2, Tickets, workload) for _ in range(2))
    assert one.hash == other.hash
    assert one.operations > 20
    assert one.coverage["checkpoint: durable"] > 0
    assert sum(one.coverage[f"fault: {kind}"] for kind in {f.kind for f in plan(2)[1]}) > 0


def _position(index: int) -> bytes:
    return Position(index, 1, Membership((1,)).encode()).encode()


def test_state_passes_through_a_checkpoint_and_a_snapshot() -> None:
    machine = InMemory(Tickets)
    assert machine.begin_checkpoint() is None
    command = NUMBER.pack(1, 1) + b"ann"
    assert machine.apply([command], 2, _position(2)) == [1]
    assert machine.pending_bytes == len(command)
    checkpoint = machine.begin_checkpoint()
    assert checkpoint is not None
    assert (checkpoint.index, machine.pending_bytes) == (2, 0)
    assert machine.begin_checkpoint() is None
    checkpoint.finish(committed=False)
    assert (machine.pending_bytes, machine.durable) == (len(command), b"")
    checkpoint = machine.begin_checkpoint()
    assert checkpoint is not None
    assert checkpoint.write()
    checkpoint.commit()
    checkpoint.finish(committed=True)
    machine.apply([command], 3, _position(3))
    reader, other = machine.open_snapshot(), InMemory(Tickets)
    assert reader.position == _position(2)
    writer, offset = other.begin_restore(), 0
    while chunk := reader.read(offset, 5):
        if offset:
            with pytest.raises(CorruptData):
                writer.commit()
        writer.write(chunk)
        offset += len(chunk)
    writer.commit()
    writer.swap()
    assert (other.index, other.own.dump()) == (2, b"ann\n")
    assert InMemory(Tickets, other.durable).own.dump() == b"ann\n"
