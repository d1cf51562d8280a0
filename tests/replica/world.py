"""One replica in a world of fake ports."""

from collections.abc import Callable
from random import Random

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Notice
from raftwerk.raft.events import Persisted, Received, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import (
    AppendEntriesReply,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.raft import Raft
from raftwerk.replica.failure import Failure
from raftwerk.replica.replica import Replica
from tests.replica.fakes import FakeBackground, FakeJournal, FakeNetwork, ListMachine


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
        self.now_s, self.look_s = 0.0, 0.0
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
            clock=self._clock,
            on_notice=self.notices.append,
            request_timeout_ms=7000,
        )
        self._persisted = 0

    def _wake(self) -> None:
        self.wakes += 1

    def _clock(self) -> float:
        """Each look at it takes a while."""
        self.now_s += self.look_s
        return self.now_s

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
