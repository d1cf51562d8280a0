"""One replica and its ports: what a client asks goes through the log and comes back as the machine's result."""

from itertools import pairwise

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.events import LinkOpened, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
)
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.checkpoints import INTERVAL_MS
from raftwerk.replica.failure import Failure
from raftwerk.replica.replica import HELD_BYTES_MAX, WAITING_MAX
from tests.replica.world import World, leader_of_three


def test_a_single_node_answers_with_the_machines_result() -> None:
    world = World()
    answers = world.propose(b"a")
    world.tick(100)
    assert answers == [("done", b"a")]
    assert world.machine.commands == [b"a"]


def test_nothing_is_answered_before_it_is_durable_even_on_a_single_node() -> None:
    """An acknowledged write survives: never acknowledge before the own fsync, one-node case included."""
    world = World()
    world.tick(100)
    answers = world.propose(b"a")
    world.replica.step()
    world.replica.step()
    assert answers == []
    world.run()
    assert answers == [("done", b"a")]


def test_commands_between_two_steps_share_one_persist() -> None:
    world = World()
    world.tick(100)
    before = len(world.journal.persists)
    answers = [world.propose(bytes([number])) for number in range(50)]
    world.run()
    assert len(world.journal.persists) == before + 1
    assert [answer[0] for answer in answers] == [("done", bytes([number])) for number in range(50)]


def test_a_leader_answers_after_a_majority() -> None:
    world = leader_of_three()
    answers = world.propose(b"a")
    world.run()
    assert answers == []
    world.receive(2, AppendEntriesReply(1, True, 2))
    assert answers == [("done", b"a")]


def test_a_read_waits_for_a_round_of_heartbeats() -> None:
    world = leader_of_three()
    answers = world.read()
    world.run()
    assert answers == []
    sent = [m for to, m in world.network.take() if to == 2 and isinstance(m, AppendEntries)]
    world.receive(2, AppendEntriesReply(1, True, 1, read_round=sent[-1].read_round))
    assert answers == [None]


def test_requests_wait_for_a_leader_and_then_fail_with_that_reason() -> None:
    world = World((1, 2, 3))
    write, read = world.propose(b"a"), world.read()
    world.run()
    world.tick(6999)
    assert (write, read) == ([], [])
    world.tick(1)
    assert (write, read) == ([Failure.NO_LEADER], [Failure.NO_LEADER])
    assert world.machine.commands == []


def test_the_commit_index_is_told_a_little_later_and_only_if_no_entries_took_it_along() -> None:
    world = leader_of_three()
    assert [delay_ms for delay_ms, _ in world.later] == [1], "of the first entry of its term"
    world.propose(b"a")
    world.run()
    told = [message.leader_commit for to, message in world.network.take() if to == 2]
    assert told == [1]
    wakes = world.wakes
    world.later.pop()[1]()
    assert world.wakes == wakes, "nothing to step for"
    world.receive(2, AppendEntriesReply(1, True, 2))
    world.propose(b"b")
    world.run()
    world.receive(2, AppendEntriesReply(1, True, 3))
    assert len(world.later) == 1, "one is enough for both"
    world.network.take()
    world.later.pop()[1]()
    world.run()
    assert [(to, message.leader_commit) for to, message in world.network.take()] == [(2, 3)]


def test_a_deposed_leaders_proposal_is_reported_as_not_committed_when_it_is_replaced() -> None:
    world = leader_of_three()
    answers = world.propose(b"lost")
    world.run()
    other = [Entry(2, 2, EntryKind.COMMAND, b"other")]
    world.receive(3, AppendEntries(2, 3, 1, 1, other, 2))
    assert answers == [Failure.NOT_COMMITTED]
    assert world.machine.commands == [b"other"]


def test_a_full_disk_refuses_writes_and_answers_reads() -> None:
    world = World()
    world.tick(100)
    world.journal.has_room = False
    write, read = world.propose(b"a"), world.read()
    world.run()
    assert (write, read) == ([Failure.NO_SPACE], [None])
    world.journal.has_room = True
    again = world.propose(b"b")
    world.run()
    assert again == [("done", b"b")]


def test_checkpoints_let_the_log_be_compacted_and_a_follower_gets_a_snapshot() -> None:
    world = leader_of_three(tail_entries=0)
    for number in range(5):
        world.propose(bytes([number]))
    world.run()
    world.receive(2, AppendEntriesReply(1, True, 6))
    for _ in range(5):
        world.tick(500)
        world.receive(2, AppendEntriesReply(1, True, 6))
    assert world.journal.compacted_to == 6
    world.receive(3, AppendEntriesReply(1, False, 0, conflict_index=1))
    chunks = [m for to, m in world.network.take() if to == 3 and isinstance(m, InstallSnapshot)]
    assert {(chunk.last_included_index, chunk.offset) for chunk in chunks} == {(6, 0)}
    world.receive(3, InstallSnapshotReply(1, 6, len(chunks[0].data), False))
    [second] = [m for to, m in world.network.take() if to == 3 and isinstance(m, InstallSnapshot)]
    assert second.offset == len(chunks[0].data)
    assert world.machine.open_readers == 1
    world.receive(3, InstallSnapshotReply(1, 6, 0, True))
    assert world.machine.open_readers == 0


def test_the_log_lets_go_some_entries_in_each_step() -> None:
    """Also if it keeps a tail, and what goes lies far behind the checkpoint; a node at rest does it with its ticks."""
    most = Config().let_go_max
    world = World(tail_entries=4 * most)
    world.tick(100)
    for _ in range(3):
        for _ in range(3 * most):
            world.propose(b"a")
        world.run()
        world.tick(INTERVAL_MS)
        for _ in range(3):
            world.tick(1)
    log = world.replica.raft.state.log
    assert log.last_index - log.snapshot_index == 4 * most
    gone = [0, *world.journal.compactions]
    assert max(after - before for before, after in pairwise(gone)) == most


def test_a_snapshot_that_the_log_overtakes_is_forgotten() -> None:
    world = World((1, 2, 3))
    members = Membership((1, 2, 3)).encode()
    world.receive(3, InstallSnapshot(1, 3, 2, 1, members, 0, b"half", done=False))
    [writer] = world.machine.writers
    log = [Entry(index, 1, EntryKind.COMMAND, b"a") for index in (1, 2)]
    world.receive(3, AppendEntries(1, 3, 0, 0, log, 2))
    assert writer.is_aborted
    assert world.machine.commands == [b"a", b"a"]


def test_a_follower_installs_a_snapshot_and_goes_on_from_there() -> None:
    source = leader_of_three(tail_entries=0)
    source.propose(b"a")
    source.run()
    source.receive(2, AppendEntriesReply(1, True, 2))
    for _ in range(5):
        source.tick(500)
        source.receive(2, AppendEntriesReply(1, True, 2))
    source.receive(3, AppendEntriesReply(1, False, 0, conflict_index=1))
    follower = World((1, 2, 3))  # plays node 3
    for _ in range(20):
        for to, message in source.network.take():
            if to == 3 and isinstance(message, InstallSnapshot):
                follower.receive(1, message)
        for _, message in follower.network.take():
            source.receive(3, message)
    assert follower.machine.commands == [b"a"]
    assert follower.replica.last_applied == 2
    follower.receive(1, AppendEntries(1, 1, 2, 1, [Entry(3, 1, EntryKind.COMMAND, b"b")], 3))
    assert follower.machine.commands == [b"a", b"b"]


def test_stopping_answers_everybody() -> None:
    world = leader_of_three()
    placed, queued, read = world.propose(b"a"), [], world.read()
    world.run()
    world.replica.propose(b"b", queued.append)
    world.replica.stop()
    assert placed == [Failure.TIMED_OUT]
    assert queued == [Failure.STOPPED]
    assert read == [Failure.STOPPED]


@pytest.mark.parametrize("event", [Tick(1), LinkOpened(2)], ids=["tick", "link"])
def test_every_event_asks_for_a_step(event: Tick | LinkOpened) -> None:
    world = World()
    world.replica.post(event)
    assert world.wakes == 1


def test_more_bytes_than_may_wait_are_refused() -> None:
    world = World((1, 2, 3))
    answers: list[object] = []
    command = bytes(HELD_BYTES_MAX // 8)
    for _ in range(9):
        world.replica.propose(command, answers.append)
    world.run()
    assert answers == [Failure.OVERLOADED]


def test_more_requests_than_may_wait_are_refused() -> None:
    """Nothing happened to those, and the others get their answers; then there is room again."""
    world = World((1, 2, 3))
    answers: list[object] = []
    for _ in range(WAITING_MAX + 1):
        world.replica.propose(b"a", answers.append)
        world.replica.read(answers.append)
    assert not answers
    world.run()
    assert answers == [Failure.OVERLOADED] * 2
    world.tick(7000)
    assert len(answers) == 2 * (WAITING_MAX + 1)
    assert answers.count(Failure.OVERLOADED) == 2
    assert world.replica.proposals.waiting_count == world.replica.reads.waiting_count == 0
