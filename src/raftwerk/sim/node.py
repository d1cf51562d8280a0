"""One node in the virtual world: the composition root over virtual ports, as runtime/node.py is over real ones.

A life begins with `start` and ends with a crash; what is durable passes from one life to the next, and nothing else.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from raftwerk.errors import DataDirError, DiskFailed, DiskFull, RaftwerkError
from raftwerk.raft.effects import Notice, Persist
from raftwerk.raft.events import Event, LinkClosed, LinkOpened, Persisted, Received, Tick
from raftwerk.raft.messages import Message
from raftwerk.raft.raft import Raft
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Index, NodeId, Term
from raftwerk.replica.ports import StateMachine
from raftwerk.replica.recovery import DurableState, start_core
from raftwerk.replica.replica import Replica
from raftwerk.sim.background import SimBackground
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.checks import Checks
from raftwerk.sim.clock import SimClock, SimStopwatch
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.disk import SimDisk
from raftwerk.sim.journal import DiskTimes, SimJournal, crash_in_recovery
from raftwerk.sim.machines import Home, ObservedMachine
from raftwerk.sim.network import SimNetwork
from raftwerk.sim.options import Options
from raftwerk.sim.trace import Trace
from raftwerk.sim.world import World
from raftwerk.wal.log import Recovered, Wal

CLUSTER_ID: Final = 0xC1
LOST: Final = "connection lost"
"""What a client hears of a request whose node died."""


class SimNode:
    """A member. Everything of its present life is in `replica`; None while it is down."""

    def __init__(
        self,
        node_id: NodeId,
        options: Options,
        world: World,
        network: SimNetwork,
        home: Home,
        checks: Checks,
        trace: Trace,
        coverage: Coverage,
        on_disk_failed: Callable[[NodeId], None],
        on_ambush: Callable[[NodeId], None],
    ) -> None:
        """on_disk_failed: called when it ended because a write failed. on_ambush: when it did what `ambush` waits for."""
        self.node_id = node_id
        self.home = home
        self.replica: Replica | None = None
        self.lives = 0
        self._has_data = False
        """Whether it ever started: from then on, it is started as a member of an existing cluster."""
        self.refusal: DataDirError | None = None
        """Why it did not start; None if it did."""
        self.backup: dict[str, bytearray] | None = None
        """Of its disk, from before something there was damaged."""
        self.clock = SimClock(world)
        self._options = options
        self._world = world
        self._network = network
        self._checks = checks
        self._trace = trace
        self._coverage = coverage
        self._on_disk_failed = on_disk_failed
        self._on_ambush = on_ambush
        self.ambush = ""
        """persist, install, checkpoint, or a notice of the core: tell when that happens next."""
        self._random = world.stream(f"node {node_id}")
        self._crash_random = world.stream(f"crash {node_id}")
        self._chunk_random = world.stream(f"chunks {node_id}")
        self.disk = SimDisk(world.stream(f"disk {node_id}"), coverage)
        self.disk.refused_chunks = options.disk.refused_chunks
        self.disk_times = DiskTimes(options.disk, world.stream(f"disk times {node_id}"))
        self._paused_until_us = 0
        self._is_step_due = False
        self._waiting: dict[int, Callable[[object], None]] = {}
        self._calls = 0
        self._journal: SimJournal
        self._backgrounds: list[SimBackground] = []

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    @property
    def state(self) -> State:
        """Of the core of a node that is up."""
        assert self.replica is not None
        return self.replica.raft.state

    @property
    def machine(self) -> StateMachine:
        """The state machine of a node that is up."""
        assert self.replica is not None
        assert isinstance(self.replica.machine, ObservedMachine)
        return self.replica.machine.machine

    @property
    def is_leader(self) -> bool:
        return self.is_up and isinstance(self.state.role, Leader)

    # Lives

    def start(self) -> bool:
        """Begin a life from what is durable. Returns whether it began; if the data is damaged, `refusal` tells how."""
        assert self.replica is None
        self.lives += 1
        self.refusal = None
        machine = self.home.open()
        try:
            wal, recovered = self._open_wal(self.disk)
            self._has_data = True
            self._check_recovered(recovered)
            raft = start_core(
                self.node_id,
                self._options.config,
                self._random,
                DurableState(recovered.current_term, recovered.voted_for, recovered.log),
                machine.position,
                self._options.membership,
                checks_invariants=True,
            )
        except DataDirError as error:
            self.refusal = error
            self._coverage.mark("start: damage refused")
            self._trace.record(self.node_id, "refused", {"reason": type(error).__name__})
            return False
        except (DiskFailed, DiskFull) as error:
            self._trace.record(self.node_id, "refused", {"reason": type(error).__name__})
            self._on_disk_failed(self.node_id)
            return False
        if raft.state.stable.reset_to is not None:
            self._coverage.mark("start: log superseded by a snapshot")
        self._checks.on_started(raft.state, machine)
        self._trace.record(
            self.node_id, "start", {"life": self.lives, "term": raft.state.current_term}
        )
        follow = lambda: self._checks.on_commit(self.state)  # noqa: E731
        take_chunk = lambda: self.disk.check_room_for_chunk(self._chunk_random)  # noqa: E731
        observed = ObservedMachine(machine, self._on_apply, self._on_durable, follow, take_chunk)
        self._build(wal, observed, raft)
        return True

    def _open_wal(self, disk: SimDisk) -> tuple[Wal, Recovered]:
        return Wal.open(
            disk,
            Path(f"/node-{self.node_id}/wal"),
            CLUSTER_ID,
            self.node_id,
            segment_bytes=self._options.segment_bytes,
            must_exist=self._has_data,
        )

    def _check_recovered(self, recovered: Recovered) -> None:
        mark = "new" if recovered.is_new else "again"
        self._coverage.mark(f"start: {mark}")
        if recovered.torn_bytes:
            self._coverage.mark("start: torn tail cut off")
        self._checks.on_recovered(self.node_id, recovered)

    def _build(self, wal: Wal, machine: ObservedMachine, raft: Raft) -> None:
        world, disk, times = self._world, self.disk, self.disk_times
        self._journal = SimJournal(
            wal,
            disk,
            world,
            times,
            self._coverage,
            self._on_persist,
            self._on_persisted,
            self._on_failed,
        )
        checkpoints = SimBackground(world, disk, times)
        restores = SimBackground(world, disk, times)
        self._backgrounds = [checkpoints, restores]
        self.replica = Replica(
            raft,
            self._journal,
            self,
            checkpoints,
            restores,
            machine,
            wake=self._wake,
            call_later=lambda delay_ms, action: self.after(1000 * delay_ms, action),
            clock=SimStopwatch(self.node_id),
            on_notice=self._on_notice,
            request_timeout_ms=self._options.request_timeout_ms,
        )
        self._is_step_due = False
        self.clock.restart()
        self.home.begin(self, self._options)
        self._tick_later(self.lives)
        self._wake()

    def crash(self) -> None:
        """The process or the machine dies. Clients that wait here hear that the connection is lost."""
        if self.replica is None:
            return
        self._trace.record(self.node_id, "crash", {"life": self.lives})
        self.replica = None
        self._paused_until_us = 0
        self._journal.crash(self._crash_random)
        for background in self._backgrounds:
            background.crash(self._crash_random)
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(LOST)

    def crash_while_starting(self) -> None:
        """Begin a life, and lose the power in the middle of recovery, if there is anything to mend."""
        assert self.replica is None
        if crash_in_recovery(self.disk, self._open_wal, self._crash_random):
            self._coverage.mark("start: crashed in recovery")

    def pause(self, duration_us: int) -> None:
        """Stop the process (SIGSTOP); it goes on as if nothing had been, but its clock tells."""
        self._paused_until_us = max(self._paused_until_us, self._world.now_us + duration_us)

    # Clients

    def propose(self, command: bytes, done: Callable[[object], None]) -> None:
        """`done` gets the result, a Failure, or LOST: once."""
        assert self.replica is not None
        self.replica.propose(command, self._once(done))

    def read(self, done: Callable[[object], None]) -> None:
        """`done` gets None when the machine may be read, a Failure, or LOST: once."""
        assert self.replica is not None
        self.replica.read(self._once(done))

    def _once(self, done: Callable[[object], None]) -> Callable[[object], None]:
        self._calls += 1
        call = self._calls
        self._waiting[call] = done

        def settle(result: object) -> None:
            waiting = self._waiting.pop(call, None)
            if waiting is not None:
                waiting(result)
            elif self.replica is not None:
                raise Violation("Answered once", f"a second answer: {result}")

        return settle

    # The machine's home (sim.machines.Life)

    @property
    def leading_term(self) -> Term:
        return 0 if self.replica is None else self.replica.leading_term

    def now_s(self) -> float:
        """By this node's clock."""
        return self.clock.now_us() / 1e6

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        """Carry out `action` later, if this life goes on until then."""
        life = self.lives

        def act() -> None:
            if self.replica is None or life != self.lives:
                return
            if self._paused_until_us > self._world.now_us:
                self._world.after(self._paused_until_us - self._world.now_us, act)
            else:
                action()

        self._world.after(delay_us, act)

    # The loop

    def post(self, event: Event) -> None:
        """Something happened; nobody hears it on a node that is down."""
        if self.replica is not None:
            self.replica.post(event)

    def receive(self, sender: NodeId, message: Message) -> None:
        if self.replica is not None:
            self._trace.record(
                self.node_id, "deliver", {"from": sender, "kind": type(message).__name__}
            )
            self.post(Received(sender, message))

    def link_opened(self, peer: NodeId) -> None:
        self.post(LinkOpened(peer))

    def link_closed(self, peer: NodeId) -> None:
        self.post(LinkClosed(peer))

    def _wake(self) -> None:
        if not self._is_step_due:
            self._is_step_due = True
            life = self.lives
            delay_us = self._random.randrange(self._options.step_delay_us + 1)
            self._world.after(delay_us, lambda: self._step(life))

    def _step(self, life: int) -> None:
        replica = self.replica
        if replica is None or life != self.lives:
            return
        if self._paused_until_us > self._world.now_us:
            self._world.after(self._paused_until_us - self._world.now_us, lambda: self._step(life))
            return
        self._is_step_due = False
        has_more = replica.step()
        if self.replica is None:
            return
        self._checks.on_step(replica.raft.state)
        if replica.checkpoints.is_disk_full:
            self._coverage.mark("checkpoint: disk full")
        failure = replica.checkpoints.failure
        if isinstance(failure, RaftwerkError):
            self._on_failed(failure)
        elif failure is not None:
            raise failure
        elif has_more:
            self._wake()

    def _tick_later(self, life: int) -> None:
        self._world.after(self._options.tick_ms * 1000, lambda: self._tick(life))

    def _tick(self, life: int) -> None:
        if self.replica is None or life != self.lives:
            return
        now_us = self._world.now_us
        if self._paused_until_us > now_us:
            late_us = self._random.randrange(self._options.tick_ms * 1000)
            self._world.after(self._paused_until_us - now_us + late_us, lambda: self._tick(life))
            return
        elapsed_ms = self.clock.take_elapsed_ms()
        if elapsed_ms > 0:
            self.post(Tick(elapsed_ms))
            self._journal.tick(elapsed_ms)
            self.home.tick()
        self._tick_later(life)

    def _spring(self, event: str) -> None:
        if self.ambush == event:
            self.ambush = ""
            self._on_ambush(self.node_id)

    # What the executor wants

    def send(self, to: NodeId, messages: Sequence[Message]) -> None:
        """Implements replica.ports.Network."""
        state = self.state
        for message in messages:
            self._checks.on_send(state, to, message)
        self._network.send(self.node_id, to, messages)

    def _on_persist(self, persist: Persist) -> None:
        self._trace.record(self.node_id, "persist", {"ticket": persist.ticket})
        self._checks.on_persist(self.state, persist)
        self._spring("persist")

    def _on_persisted(self, ticket: int) -> None:
        self._trace.record(self.node_id, "durable", {"ticket": ticket})
        self._checks.durability.on_persisted(self.node_id, ticket)
        self.post(Persisted(ticket))

    def _on_failed(self, error: Exception) -> None:
        """The disk broke: the process ends."""
        self._trace.record(self.node_id, "notice", {"event": "disk failed"})
        self.crash()
        self._on_disk_failed(self.node_id)

    def _on_apply(
        self,
        last_applied: Index,
        commands: Sequence[bytes],
        index: Index,
        results: Sequence[object],
    ) -> None:
        self._trace.record(self.node_id, "apply", {"index": index})
        self._checks.on_apply(self.state, last_applied, commands, index, results)

    def _on_durable(self, index: Index, was_installed: bool) -> None:
        self._coverage.mark("checkpoint: restored" if was_installed else "checkpoint: durable")
        self._checks.durability.on_checkpointed(self.node_id, index)
        if self.replica is not None:  # else it crashed with this half done
            self._checks.on_durable(self.node_id, self.machine)
        self._spring("install" if was_installed else "checkpoint")
        if was_installed:
            self._trace.record(self.node_id, "install", {"index": index})

    def _on_notice(self, notice: Notice) -> None:
        self._coverage.mark(f"notice: {notice.event}")
        self._trace.record(self.node_id, "notice", {"event": notice.event, **notice.facts})
        self._spring(notice.event)
