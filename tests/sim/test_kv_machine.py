"""The key-value machine as simulations have it: small limits."""

from raftwerk.kv.commands import DeleteRange, Put, SessionOpen, encode
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.storage.memory import MemoryStore


def test_rows_of_sessions_are_written_before_the_checkpoint_if_few_may_wait_for_it() -> None:
    machines = [SimKvMachine(MemoryStore(), unkept_max=unkept_max) for unkept_max in (1, 3)]
    for number in range(3):
        for machine in machines:
            machine.apply([encode(SessionOpen(number))], number + 1, b"")
    assert [machine.kept_early for machine in machines] == [2, 0]
    rows = [list(machine.sessions.rows()) for machine in machines]
    assert rows[0] == rows[1]


def test_command_on_several_keys_takes_several_slices_if_they_are_small() -> None:
    machine = SimKvMachine(MemoryStore(), slice_rows=1)
    for number in range(9):
        machine.apply([encode(Put(b"%d" % number, b""))], number + 1, b"")
    steps = machine.apply([encode(DeleteRange(b"0", b"9"))], 10, b"")
    assert machine.is_mid_command
    assert len(list(steps)) > 1
    assert not machine.is_mid_command
