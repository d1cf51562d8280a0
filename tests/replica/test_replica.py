"""One replica and its ports: what a client asks goes through the log and comes back as the machine's result."""

from collections.abc import Callable
from random import Random

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Notice
from raftwerk.raft.events import LinkOpened, Persisted, Received, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.raft import Raft
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.applier import WAITING_ENTRIES_MAX
from raftwerk.replica.failure import Failure
from raftwerk.replica.position import Position
from raftwerk.replica.replica import APPLIED_MAX, HELD_BYTES_MAX, PARTS_MAX, WAITING_MAX, Replica
from tests.replica.fakes import LONG, FakeBackground, FakeJournal, FakeNetwork, ListMachine


class World:
    """A replica, its fake ports, and the answers of its clients."""

    def __init__(self, voters: tuple[int, ...] = (1,), tail_entries: int = 5000) -> None:
        config = Config(tail_entries=tail_entries, tell_commit_after_ms=1)
        raft = Raft(1, config, Random(1), membership=Membership(voters), checks_invariants=True)
        self.journal = FakeJournal()
        self.network = FakeNetwork()
        self.background = FakeBackground()
        self.machine = ListMachine()
        self.notices: list[Notice] = []
        self.wakes = 0
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.replica = Replica(
            raft,
            self.journal,
            self.network,
            self.background,
            self.background,
            self.machine,
            wake=self._wake,
            call_later=lambda delay_ms, action: self.later.append((delay_ms, action)),
            on_notice=self.notices.append,
            request_timeout_ms=7000,
        )
        self._persisted = 0

    def _wake(self) -> None:
        self.wakes += 1

    def run(self) -> None:
        """Step until nothing is left to do, with a disk that answers at once."""
        has_more = True
        while has_more:
            wakes = self.wakes
            has_more = self.replica.step()
            self.background.run_jobs()
            new = self.journal.persists[self._persisted :]
            self._persisted = len(self.journal.persists)
            for persist in new:
                self.replica.post(Persisted(persist.ticket))
            has_more = has_more or self.wakes > wakes

    def tick(self, elapsed_ms: int) -> None:
        self.replica.post(Tick(elapsed_ms))
        self.run()

    def receive(self, sender: int, *messages: object) -> None:
        for message in messages:
            self.replica.post(Received(sender, message))  # type: ignore[arg-type]
        self.run()

    def propose(self, command: bytes) -> list[object]:
        answers: list[object] = []
        self.replica.propose(command, answers.append)
        return answers

    def read(self) -> list[Failure | None]:
        answers: list[Failure | None] = []
        self.replica.read(answers.append)
        return answers


def leader_of_three(tail_entries: int = 5000) -> World:
    """Node 1 of 1, 2, 3, elected by 2 in term 1, with its no-op on 2."""
    world = World((1, 2, 3), tail_entries)
    world.tick(2000)
    [pre_vote] = {m for _, m in world.network.take() if isinstance(m, PreVote)}
    world.receive(2, PreVoteReply(0, pre_vote.next_term, True))
    assert any(isinstance(message, RequestVote) for _, message in world.network.take())
    world.receive(2, RequestVoteReply(1, True))
    world.receive(2, AppendEntriesReply(1, True, 1))
    world.network.take()
    return world


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


def test_no_step_is_handed_more_entries_than_it_applies() -> None:
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
