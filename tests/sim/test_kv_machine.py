"""The key-value machine as simulations have it: small limits."""

from raftwerk.kv.commands import DeleteRange, Put, encode
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.storage.memory import MemoryStore


def test_command_on_several_keys_takes_several_slices_if_they_are_small() -> None:
    machine = SimKvMachine(MemoryStore(), slice_rows=1)
    for number in range(9):
        machine.apply([encode(Put(b"%d" % number, b""))], number + 1, b"")
    steps = machine.apply([encode(DeleteRange(b"0", b"9"))], 10, b"")
    assert machine.is_mid_command
    assert len(list(steps)) > 1
    assert not machine.is_mid_command
