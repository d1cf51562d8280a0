"""A state machine of one's own becomes durable, and its dump is looked at."""

import itertools

import pytest

from raftwerk.errors import CorruptData
from raftwerk.raft.membership import Membership
from raftwerk.replica.position import Position
from raftwerk.sim.checkers import Violation
from raftwerk.sim.own_memory import NUMBER, InMemory, check_dump, parting
from tests.checkpoints import complete
from tests.sim.test_own_machine import Tickets


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
    complete(machine.begin_checkpoint())
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


class Restless(Tickets):
    """Counts how often it was dumped, in its dump."""

    def __init__(self) -> None:
        super().__init__()
        self.dumps = itertools.count()

    def dump(self) -> bytes:
        return b"dumped %d times" % next(self.dumps)


class Wordy(Tickets):
    def dump(self) -> bytes:
        return "text"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (
            Restless,
            "dump is not deterministic: two in a row were ...b'dumped 0 times' at byte 0, and",
        ),
        (Wordy, "dump must give bytes, it gave 'text'"),
    ],
)
def test_dump_must_be_the_state_alone(machine: type[Tickets], says: str) -> None:
    with pytest.raises(Violation, match=says):
        check_dump(machine())


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (b"a", b"b", "...b'a' at byte 0, and ...b'b'"),
        (b"0123456789abc", b"0123456789abX", "...b'23456789abc' at byte 2, and ...b'23456789abX'"),
        (b"ann", b"ann, bob", "...b'ann' at byte 0, and ...b'ann, bob'"),
    ],
)
def test_place_where_two_dumps_part(one: bytes, other: bytes, text: str) -> None:
    assert parting(one, other) == text
