"""One node of the model: the real core, a disk, and the persists on their way to it. What it does is `act`.

Time is not modelled as a number. The core's clocks only ever say "it is time now" (to campaign, to send a heartbeat, to step
down), and in an asynchronous network that may be said at any moment. So each of these is an action, carried out as the Tick
that makes the core do it, and after every action all clocks are put back (`_forget_time`): two nodes that differ in them
alone are one. Nothing that can happen is lost by this; what the clocks would forbid is allowed.

One event a step: the batches of production are left to the swarm.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from raftwerk.raft.effects import Effects, Notice, Persist
from raftwerk.raft.events import Event, Persisted, Propose, Read, Received, Tick
from raftwerk.raft.log import Log
from raftwerk.raft.messages import Message, TimeoutNow
from raftwerk.raft.raft import Raft
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import NOBODY, Entry, EntryKind, NodeId
from raftwerk.replica.recovery import DurableState, start_core
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.durability import Durability, DurableLog, Removal
from raftwerk.sim.explore.bounds import TIMEOUT_MS, Bounds

WAIT_MS: Final = 2 * TIMEOUT_MS - 1
"""Every wait for the election timeout: longer than a leader must be silent to be forgotten."""


class Act(StrEnum):
    """What can happen to a node."""

    DELIVER = "deliver"
    DURABLE = "durable"
    """The oldest persist that is under way."""
    CRASH = "crash"
    """And start again: being down in between is the same as hearing nothing."""
    ELECTION = "election timeout"
    SILENCE = "leader not heard"
    """For the minimum election timeout: from now on the node helps to elect another (thesis 4.2.3)."""
    HEARTBEAT = "heartbeat"
    STEP_DOWN = "majority not heard"
    PROPOSE = "propose"
    READ = "read"


class Action(NamedTuple):
    """act, and of it: the number of a proposal, the committed entries that a read must see; sender and message."""

    act: Act
    number: int = 0
    sender: NodeId = NOBODY
    message: Message | None = None


class LifeRandom(Random):
    """Draws the longest wait, and as a random number for a life of a node, the number of that life."""

    def __init__(self, life: int) -> None:
        super().__init__(0)
        self.life = life

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return start - 1 if stop is None else stop - 1

    def getrandbits(self, k: int, /) -> int:
        return self.life

    def __reduce__(self) -> tuple[type["LifeRandom"], tuple[int]]:
        return LifeRandom, (self.life,)


@dataclass(slots=True)
class Disk:
    """Stable storage: the hard state and the log."""

    durable: DurableLog = field(default_factory=DurableLog)
    entries: list[Entry] = field(default_factory=list)

    def take(self, persist: Persist) -> None:
        """Carry out one persist."""
        assert persist.reset_to is None, "no snapshots in this model"
        self.durable.take(persist)
        if persist.truncate_from:
            del self.entries[persist.truncate_from - 1 :]
        self.entries.extend(persist.entries)


@dataclass(slots=True)
class Done:
    """What came of an action besides the node's new state."""

    sent: list[tuple[NodeId, Message]] = field(default_factory=list)
    removed: list[Removal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """To clients, in words."""


class Node:
    """Changed by `act` alone. pending: persists that were not reported durable yet, oldest first."""

    __slots__ = ("bounds", "disk", "life", "node_id", "pending", "raft")

    def __init__(self, node_id: NodeId, bounds: Bounds) -> None:
        terms = bounds.start_logs[node_id - 1]
        entries = [
            Entry(index, term, EntryKind.NO_OP, b"") for index, term in enumerate(terms, start=1)
        ]
        self.node_id = node_id
        self.bounds = bounds
        self.disk = Disk()
        self.disk.take(Persist(0, bounds.start_term, NOBODY, entries=entries))
        self.life = 0
        self._start()

    def _start(self) -> None:
        self.pending: deque[Persist] = deque()
        disk = self.disk
        self.raft: Raft = start_core(
            self.node_id,
            self.bounds.config,
            LifeRandom(self.life),
            DurableState(
                disk.durable.current_term,
                disk.durable.voted_for,
                Log(0, 0, disk.entries),
            ),
            b"",
            self.bounds.membership,
            checks_invariants=True,
        )
        self._forget_time()

    @property
    def state(self) -> State:
        return self.raft.state

    def choices(self) -> list[Act]:
        """What can happen to it now besides messages and clients, as far as its own state says."""
        state, bounds = self.state, self.bounds
        found = [Act.DURABLE] if self.pending else []
        if isinstance(state.role, Leader):
            found += [Act.HEARTBEAT, *([Act.STEP_DOWN] if bounds.has_check_quorum else [])]
            return found
        if state.current_term < bounds.terms:
            found.append(Act.ELECTION)
        if bounds.has_pre_vote and state.leader_id and state.leader_silent_ms < TIMEOUT_MS:
            found.append(Act.SILENCE)
        return found

    @property
    def takes_clients(self) -> bool:
        """Whether a proposal or a read can come here; who knows of no leader just refuses."""
        state = self.state
        return isinstance(state.role, Leader) or (
            self.bounds.are_followers_asked and state.leader_id != NOBODY
        )

    def act(self, action: Action) -> Done:
        """Let it happen. Raises Violation or AssertionError if that shows a defect."""
        done = Done()
        act = action.act
        if act is Act.CRASH:
            self.life += self.bounds.are_followers_asked  # else no request id is ever made
            self._start()
            return done
        if act is Act.DURABLE:
            self._complete(done)
        else:
            self._step(self._event(action), done)
        while self.bounds.is_disk_instant and self.pending:
            self._complete(done)
        self._forget_time()
        return done

    def _event(self, action: Action) -> Event:
        state, act = self.state, action.act
        if act is Act.DELIVER:
            assert action.message is not None
            return Received(action.sender, action.message)
        if act is Act.PROPOSE:
            return Propose(action.number, [bytes([self.node_id, action.number])])
        if act is Act.READ:
            return Read(action.number)
        if act is Act.HEARTBEAT:
            return Tick(self.bounds.config.heartbeat_interval_ms)
        if act is Act.ELECTION and not self.bounds.has_pre_vote:
            # The one election that the core begins without a pre-vote: one that it was asked for
            return Received(self.node_id, TimeoutNow(state.current_term, self.node_id))
        return Tick(WAIT_MS if act is Act.ELECTION else TIMEOUT_MS)

    def _complete(self, done: Done) -> None:
        persist = self.pending.popleft()
        self.disk.take(persist)
        self._step(Persisted(persist.ticket), done)

    def _step(self, event: Event, done: Done) -> None:
        effects = self.raft.step([event])
        assert not effects.has_more
        if effects.persist is not None:
            if effects.persist.truncate_from:
                done.removed += self.disk.durable.after(self.pending).removed_by(effects.persist)
            self.pending.append(effects.persist)
        durability = Durability()
        durability.logs[self.node_id] = self.disk.durable
        for to, message in effects.messages:
            durability.on_send(self.state, to, message)
        done.sent += effects.messages
        done.notices += effects.notices
        self._answer(effects, done)

    def _answer(self, effects: Effects, done: Done) -> None:
        for ready in effects.reads:
            if ready.read_index < ready.request:
                raise Violation(
                    "Linearizable reads",
                    f"node {self.node_id} answers a read with the state of {ready.read_index}, "
                    f"though {ready.request} was committed before the read began",
                )
            done.answers.append(f"a read may be answered at {ready.read_index}")
        done.answers += [
            f"proposal {proposed.request} stands at {proposed.first_index} in term {proposed.term}"
            for proposed in effects.proposed
        ]
        done.answers += [f"refused: {refused.refusal}" for refused in effects.refused]

    # What is not part of the state

    def _forget_time(self) -> None:
        """Put all clocks back, and number the persists from the oldest that is under way."""
        state = self.state
        role = state.role
        if isinstance(role, Leader):
            role.heartbeat_elapsed_ms = role.transfer_wait_ms = 0
            for progress in role.progress.values():
                progress.silent_ms = 0
                progress.short_logs = 0  # for the operator alone
        else:
            role.elapsed_ms = 0
            role.election_timeout_ms = WAIT_MS
        is_heard = state.leader_silent_ms < TIMEOUT_MS and state.leader_id != NOBODY
        hears = self.bounds.has_pre_vote and is_heard and not isinstance(role, Leader)
        state.leader_silent_ms = 0 if hears else TIMEOUT_MS
        for asked in (*state.remote.forwards.values(), *state.remote.reads.values()):
            asked.age_ms = 0
        # What waits for the disk twice goes into a network in which once is as good
        state.stable.held = list(
            {
                (ticket, to, repr(message)): (ticket, to, message)
                for ticket, to, message in state.stable.held
            }.values()
        )
        self._renumber()

    def _renumber(self) -> None:
        stable = self.state.stable
        gone = stable.persisted_ticket
        if not gone:
            return
        stable.persisted_ticket = 0
        stable.next_ticket -= gone
        stable.hard_state_ticket = max(0, stable.hard_state_ticket - gone)
        stable.in_flight = deque((ticket - gone, last) for ticket, last in stable.in_flight)
        stable.held = [(ticket - gone, to, message) for ticket, to, message in stable.held]
        self.pending = deque(
            replace(persist, ticket=persist.ticket - gone) for persist in self.pending
        )
