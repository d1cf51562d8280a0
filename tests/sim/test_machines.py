"""Homes of state machines, and the onlooker between executor and machine."""

from collections.abc import Generator, Sequence
from typing import cast

from raftwerk.kv.commands import Put, RangeQuery, encode
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import RangeResult
from raftwerk.replica.ports import StateMachine
from raftwerk.replica.position import Position
from raftwerk.sim.machines import KvHome, ObservedMachine, kv_digest
from raftwerk.storage.memory import MemoryStore
from tests.checkpoints import complete

POSITION = Position(3, 1, b"{}").encode()


def apply(machine: KvMachine, *values: bytes) -> None:
    machine.apply([encode(Put(b"k", value)) for value in values], 3, POSITION)


def count(machine: KvMachine) -> int:
    result = machine.range(RangeQuery(b"k"))
    assert isinstance(result, RangeResult)
    return result.count


def test_a_home_keeps_what_a_checkpoint_made_durable() -> None:
    home = KvHome()
    apply(home.open(), b"lost")
    assert count(home.open()) == 0
    apply(home.machine, b"kept")
    complete(home.machine.begin_checkpoint())
    assert count(home.open()) == 1


def test_digests_of_equal_states_are_equal_and_of_others_are_not() -> None:
    one, other = KvMachine(MemoryStore()), KvMachine(MemoryStore())
    apply(one, b"a", b"b")
    apply(other, b"a", b"b")
    digests = kv_digest(one, other)
    assert digests is not None
    assert digests[0] == digests[1]
    apply(other, b"c")
    assert kv_digest(one, other) == digests, "at the revision of the first"
    apply(one, b"d")
    digests = kv_digest(one, other)
    assert digests is not None
    assert digests[0] != digests[1]


def test_onlooker_tells_what_is_applied_and_what_is_durable() -> None:
    applied: list[tuple[int, int]] = []
    durable: list[tuple[int, bool]] = []
    machine = ObservedMachine(
        KvHome().open(),
        lambda last_applied, commands, index, results: applied.append((last_applied, index)),
        lambda index, was_installed: durable.append((index, was_installed)),
    )
    machine.apply([encode(Put(b"k", b"v"))], 3, POSITION)
    complete(machine.begin_checkpoint())
    assert (applied, durable) == ([(0, 3)], [(3, False)])
    reader, writer = machine.open_snapshot(), machine.begin_restore()
    offset = 0
    while chunk := reader.read(offset, 1000):
        writer.write(chunk)
        offset += len(chunk)
    writer.commit()
    writer.swap()
    assert durable[1:] == [(3, True)]


class Slow:
    """A machine that does one row in a slice; whoever holds this holds the steps of its batch."""

    def __init__(self) -> None:
        self._machine = KvMachine(MemoryStore(), slice_rows=1)
        self.position = b""
        self.steps: Sequence[object] | Generator[None, None, Sequence[object]] = ()

    def apply(
        self, batch: Sequence[bytes], index: int, position: bytes
    ) -> Sequence[object] | Generator[None, None, Sequence[object]]:
        self.steps = self._machine.apply(batch, index, position)
        return self.steps


def test_a_batch_that_a_snapshot_overtakes_is_given_up_whole() -> None:
    """Before its second slice, too."""
    slow = Slow()
    machine = ObservedMachine(cast("StateMachine", slow), lambda *_: None, lambda *_: None)
    applying = machine.apply([encode(Put(b"k", b"v"))] * 3, 3, POSITION)
    assert isinstance(applying, Generator)
    applying.close()
    assert isinstance(machine.apply([encode(Put(b"k", b"v"))], 3, POSITION), list)
