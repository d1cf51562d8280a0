"""How many entries a step applies, and what waits meanwhile."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.events import Persisted, Received, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.applier import WAITING_ENTRIES_MAX
from raftwerk.replica.checkpoints import EXTRA_BYTES, INTERVAL_MS
from raftwerk.replica.failure import Failure
from raftwerk.replica.position import Position
from raftwerk.replica.replica import APPLIED_MAX, APPLY_S, BACKLOG_MAX, PARTS_MAX
from tests.replica.fakes import LONG
from tests.replica.world import World


def test_reads_and_checkpoints_wait_for_the_end_of_a_long_command() -> None:
    world = World()
    world.tick(2000)
    answers: list[object] = []
    world.replica.propose(LONG, lambda _: answers.append("written"))
    while not world.machine.slices:
        world.replica.step()
        world.replica.post(Persisted(len(world.journal.persists)))
    world.replica.read(lambda _: answers.append("read"))
    world.replica.post(Tick(3000))
    assert world.replica.step()
    assert not world.replica.checkpoints.is_under_way
    assert not answers
    world.run()
    assert answers == ["written", "read"]
    assert world.machine.durable[1] == world.machine.position


def test_many_entries_that_are_committed_at_once_are_applied_some_at_a_time() -> None:
    """Between two steps the machine is whole, where the log stands after the last of them, and they are answered."""
    world = World()
    in_a_step = PARTS_MAX * APPLIED_MAX
    world.tick(100)
    before = world.replica.last_applied
    answers = [world.propose(b"%d" % number) for number in range(2 * in_a_step + 1)]
    world.replica.step()
    world.replica.post(Persisted(world.journal.persists[-1].ticket))
    applied = []
    while world.replica.step():
        applied.append(world.replica.last_applied - before)
        assert Position.decode(world.machine.position).last_index == world.replica.last_applied
        assert sum(map(len, answers)) == len(world.machine.commands) == applied[-1]
    assert applied == [in_a_step, 2 * in_a_step]
    assert [answer for (answer,) in answers] == [
        ("done", b"%d" % number) for number in range(2 * in_a_step + 1)
    ]


def test_machine_is_told_the_membership_where_the_log_stands() -> None:
    """Before a change and after it, however many entries are between."""
    world = World((1, 2, 3))
    before, after = Membership((1, 2, 3)).encode(), Membership((1, 2)).encode()
    kinds = [EntryKind.COMMAND] * 2 + [EntryKind.MEMBERSHIP] + [EntryKind.COMMAND] * 2
    seen = []
    for index, kind in enumerate(kinds, 1):
        entry = Entry(index, 1, kind, after if kind is EntryKind.MEMBERSHIP else b"a")
        world.receive(2, AppendEntries(1, 2, index - 1, min(1, index - 1), [entry], index))
        world.receive(2, AppendEntries(1, 2, index, 1, [], index))
        seen.append(Position.decode(world.machine.position))
    memberships = [before, before, after, after, after]
    assert seen == [Position(index, 1, found) for index, found in enumerate(memberships, 1)]


def applied_in_steps(world: World, count: int) -> list[int]:
    """How many entries each step applied, of so many that are committed at once."""
    world.tick(100)
    before = world.replica.last_applied
    for number in range(count):
        world.propose(b"%d" % number)
    world.replica.step()
    world.replica.post(Persisted(world.journal.persists[-1].ticket))
    applied = []
    while world.replica.step():
        applied.append(world.replica.last_applied - before - sum(applied))
    return applied


def test_step_that_has_applied_for_long_leaves_the_rest_to_the_next_one() -> None:
    world = World()
    world.look_s = 0.6 * APPLY_S
    assert applied_in_steps(world, 6 * APPLIED_MAX + 1) == 3 * [2 * APPLIED_MAX]


def test_step_applies_for_longer_while_much_waits() -> None:
    """The core hands out as much in each step as a step may apply, but no sooner than that."""
    world = World()
    world.look_s = APPLY_S
    count, whole = 6 * BACKLOG_MAX, PARTS_MAX * APPLIED_MAX
    applied = applied_in_steps(world, count)
    assert (min(applied), max(applied)) == (APPLIED_MAX, whole)
    assert len(applied) <= count // whole + (BACKLOG_MAX + whole) // APPLIED_MAX + 1


@pytest.mark.parametrize(("count", "slices"), [(1, 4), (PARTS_MAX * APPLIED_MAX, 2)])
def test_step_that_has_applied_for_long_writes_less_of_a_checkpoint(
    count: int, slices: int
) -> None:
    world = World()
    world.tick(100)
    world.propose(b"first")
    world.run()
    world.machine.checkpoint_slices = 100
    world.look_s = 0.3 * APPLY_S
    world.replica.post(Tick(INTERVAL_MS))
    assert world.replica.step()
    for commands in ([bytes(2 * EXTRA_BYTES)], count * [b"a"]):
        for command in commands:
            world.propose(command)
        world.replica.step()
        world.replica.post(Persisted(world.journal.persists[-1].ticket))
        before = world.machine.slices_written
        world.replica.step()
    assert world.machine.pending_bytes == 2 * EXTRA_BYTES + count
    assert world.machine.slices_written - before == slices


def test_no_step_is_handed_more_entries_than_it_applies_while_many_wait() -> None:
    """Else a member that catches up would hold ever more, and refuse its clients."""
    assert Config().apply_entries_max <= PARTS_MAX * APPLIED_MAX


def test_a_member_that_is_far_behind_with_long_commands_takes_in_writes() -> None:
    """They were refused beyond 5,000 entries: thousands of times, since whoever is refused at once may ask again at once."""
    world = World()
    world.tick(100)
    for _ in range(6 * APPLIED_MAX):
        world.propose(LONG)
    many = [world.propose(b"a") for _ in range(8 * Config().apply_entries_max)]
    world.replica.step()
    world.replica.post(Persisted(world.journal.persists[-1].ticket))
    for _ in range(10):
        world.replica.step()
    assert not any(many)
    late = world.propose(b"late")
    world.run()
    assert late == [("done", b"late")]
    assert all(answers == [("done", b"a")] for answers in many)


def test_a_member_that_is_too_far_behind_refuses_writes_until_it_is_not() -> None:
    """What others have committed counts: nothing else bounds its log."""
    world = World((1, 2, 3))
    count = WAITING_ENTRIES_MAX + 1
    commands = [LONG] * (APPLIED_MAX * count // Config().apply_entries_max) + [b"a"] * count
    entries = tuple(
        Entry(index, 1, EntryKind.COMMAND, command) for index, command in enumerate(commands, 1)
    )
    world.replica.post(Received(2, AppendEntries(1, 2, 0, 0, entries, len(entries))))
    world.replica.step()
    world.replica.post(Persisted(world.journal.persists[-1].ticket))
    for _ in range(len(entries) // Config().apply_entries_max):
        world.replica.step()
    refused = world.propose(b"late")
    world.replica.step()
    assert refused == [Failure.OVERLOADED]
    world.run()
    assert world.replica.last_applied == len(entries)
    world.network.take()
    world.propose(b"again")
    world.run()
    assert world.network.take()
