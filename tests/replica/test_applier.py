"""What is committed is applied once and in order, also around a command that takes many slices."""

from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.applier import WAITING_ENTRIES_MAX, Applier
from tests.replica.fakes import LONG, LONG_SLICES, ListMachine


class Rig:
    """An applier, its machine, and (index, result) of what was applied."""

    def __init__(self) -> None:
        self.machine = ListMachine()
        self.applied: list[tuple[int, object]] = []
        self.applier = Applier(
            self.machine,
            10,
            lambda entries, results: self.applied.extend(
                (entry.index, result) for entry, result in zip(entries, results, strict=True)
            ),
        )
        self._last_index = 10

    def add(self, *commands: bytes | None) -> None:
        """None: an entry that is not for the machine."""
        entries = []
        for command in commands:
            self._last_index += 1
            kind = EntryKind.NO_OP if command is None else EntryKind.COMMAND
            entries.append(Entry(self._last_index, 1, kind, command or b""))
        self.applier.add(entries, b"after %d" % self._last_index)


def test_results_go_to_the_entries_that_are_commands() -> None:
    rig = Rig()
    rig.add(None, b"a", b"b")
    rig.add(None)
    assert rig.applier.advance()
    assert not rig.applier.advance()
    assert rig.applied == [(11, None), (12, ("done", b"a")), (13, ("done", b"b")), (14, None)]
    assert rig.applier.last_applied == 14
    assert rig.machine.position == b"after 14"


def test_long_command_takes_a_slice_each_time_and_what_follows_waits() -> None:
    rig = Rig()
    rig.add(b"a")
    rig.add(b"b", LONG)
    rig.add(b"c")
    assert rig.applier.advance()
    for slices in range(1, LONG_SLICES):
        assert rig.applier.advance()
        assert rig.machine.slices == slices
        assert rig.applier.is_mid_command
        assert rig.applier.last_applied == 11
        assert [index for index, _ in rig.applied] == [11]
    assert rig.applier.advance()
    assert not rig.applier.is_mid_command
    assert not rig.applier.advance()
    assert rig.machine.commands == [b"a", b"b", LONG, b"c"]
    assert [index for index, _ in rig.applied] == [11, 12, 13, 14]
    assert rig.applier.last_applied == 14


def test_snapshot_takes_the_place_of_what_waits() -> None:
    rig = Rig()
    rig.add(LONG)
    rig.add(b"a")
    assert rig.applier.advance()
    rig.applier.skip_to(20)
    assert not rig.applier.is_mid_command
    assert not rig.applier.advance()
    assert not rig.applied
    assert rig.applier.last_applied == 20
    assert rig.applier.waiting_count == 0


def test_applier_is_behind_when_too_much_waits() -> None:
    rig = Rig()
    rig.add(LONG)
    rig.add(*[b"a"] * (WAITING_ENTRIES_MAX - 1))
    assert not rig.applier.is_behind
    rig.add(b"a")
    assert rig.applier.is_behind
    while rig.applier.advance():
        pass
    assert not rig.applier.is_behind


def test_between_two_long_commands_the_machine_is_whole() -> None:
    """Else no read is answered, and no checkpoint begins, for as long as they keep coming."""
    rig = Rig()
    rig.add(LONG)
    rig.add(LONG)
    turns = []
    while rig.applier.advance():
        turns.append(rig.applier.is_mid_command)
    assert turns.count(False) == 1
    assert rig.applier.last_applied == 12
