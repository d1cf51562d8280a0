"""State machines in the virtual world: what survives a crash, and an onlooker between executor and machine.

A Home is where one node's state machine lives: `open` gives the machine as the last crash left it. Users put a state machine
of their own into the simulator with a Home of their own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Final, Protocol

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.sessions import UNKEPT_MAX
from raftwerk.kv.steps import begun
from raftwerk.kv.watch import Hub
from raftwerk.raft.types import Index, Term
from raftwerk.replica.lessor import GRACE_S, Lessor
from raftwerk.replica.ports import Applying, StateMachine
from raftwerk.replica.position import Position
from raftwerk.sim.kv_machine import ALL_ROWS, SimKvMachine
from raftwerk.sim.options import Options
from raftwerk.storage.memory import MemoryStore

MAINTAIN_ROWS: Final = 20
SLICE_ROWS: Final = 1
"""So few that commands on several keys are done in slices."""
CATCH_UP_ROWS: Final = 3
"""Few, so that a revision, and a round of watchers, takes several slices."""
CATCH_UP_US: Final = 2_000


class Life(Protocol):
    """What a home may use of its node from one start to the next crash."""

    @property
    def leading_term(self) -> Term:
        """The term in which the node leads; 0: it does not."""

    def now_s(self) -> float:
        """By the node's own clock, which may go wrong, but never back."""

    def propose(self, command: bytes, done: Callable[[object], None]) -> None:
        """As a client of the node."""

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        """Carry out `action` later, if this life goes on until then."""


class Home(ABC):
    """Where one node's state machine lives."""

    @abstractmethod
    def open(self) -> StateMachine:
        """The machine with its durable state: what the last checkpoint, or restore, made so."""

    def begin(self, life: Life, options: Options) -> None:
        """A life begins with the machine that was opened last."""

    def tick(self) -> None:
        """From time to time while the node runs: what the machine does beside its commands."""


class KvHome(Home):
    """The key-value machine over the memory store, with its lessor and its hub of watches as a server has them."""

    def __init__(self, unkept_max: int = UNKEPT_MAX) -> None:
        """unkept_max: rows of sessions that are left to a checkpoint."""
        self._store = MemoryStore()
        self._unkept_max = unkept_max
        self.machine = SimKvMachine(self._store)
        self._life: Life | None = None
        self._lessor: Lessor | None = None
        self._is_catching_up = False
        self.hub: Hub

    def open(self) -> SimKvMachine:
        self._store = self._store.reopen()
        self.machine = SimKvMachine(self._store, SLICE_ROWS, self._unkept_max)
        return self.machine

    def begin(self, life: Life, options: Options) -> None:
        self._life, self._lessor = life, None
        self._is_catching_up = False
        if options.workload.leases:
            grace_s = GRACE_S + options.config.election_timeout_ms / 1000
            self._lessor = Lessor(self.machine, life.propose, life.now_s, grace_s)
        self.hub = hub = self.machine.open_hub(self._catch_up_later, lambda: life.after(0, deliver))

        def deliver() -> None:
            hub.deliver()

    def _catch_up_later(self) -> None:
        assert self._life is not None
        if not self._is_catching_up:
            self._is_catching_up = True
            self._life.after(CATCH_UP_US, self._catch_up)

    def _catch_up(self) -> None:
        self._is_catching_up = False
        if self.hub.has_lagging and self.hub.catch_up(CATCH_UP_ROWS):
            self._catch_up_later()

    def tick(self) -> None:
        if self.machine.has_garbage:
            self.machine.maintain(MAINTAIN_ROWS)
        if self._lessor is not None:
            assert self._life is not None
            self._lessor.tick(self._life.leading_term)


def kv_digest(machine: StateMachine, oracle: StateMachine) -> tuple[object, object] | None:
    """Hashes over all versions of both, at the machine's revision; None if the oracle compacted more than the machine."""
    assert isinstance(machine, KvMachine)
    assert isinstance(oracle, KvMachine)
    if machine.compacted_revision != oracle.compacted_revision:
        return None
    revision = machine.revision
    return _kv_hash(machine, revision), _kv_hash(oracle, revision)


def _kv_hash(machine: KvMachine, revision: int) -> object:
    scan = machine.hash_sliced(revision)
    return scan.step(ALL_ROWS) if isinstance(scan, HashScan) else scan


class ObservedMachine:
    """Implements replica.ports.StateMachine over another one; tells what is applied and what becomes durable."""

    def __init__(
        self,
        machine: StateMachine,
        on_apply: Callable[[Index, Sequence[bytes], Index, Sequence[object]], None],
        on_durable: Callable[[Index, bool], None],
        before_apply: Callable[[], None] = lambda: None,
        before_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        """on_apply(last_applied, commands, index, results). on_durable(index, was_installed). before_apply: watches may tell of
        the first commands before the last are done. before_chunk: raises what the chunk of a snapshot meets.
        """
        self.machine = machine
        self._on_apply = on_apply
        self._before_apply = before_apply
        self.before_chunk = before_chunk
        self._on_durable = on_durable
        self._last_applied = self._position_index()

    def _position_index(self) -> Index:
        position = self.machine.position
        return Position.decode(position).last_index if position else 0

    def apply(
        self, commands: Sequence[bytes], index: Index, position: bytes
    ) -> Sequence[object] | Applying:
        self._before_apply()
        results = self.machine.apply(commands, index, position)
        if isinstance(results, Generator):
            return begun(self._applying(results, commands, index))
        self._applied(commands, index, results)
        return results

    def _applying(self, steps: Applying, commands: Sequence[bytes], index: Index) -> Applying:
        with closing(steps):
            yield  # begun, so that closing this before its next step closes those too
            results = yield from steps
        self._applied(commands, index, results)
        return results

    def _applied(self, commands: Sequence[bytes], index: Index, results: Sequence[object]) -> None:
        last_applied, self._last_applied = self._last_applied, index
        self._on_apply(last_applied, commands, index, results)

    @property
    def position(self) -> bytes:
        return self.machine.position

    @property
    def pending_bytes(self) -> int:
        return self.machine.pending_bytes

    def begin_checkpoint(self) -> Checkpoint | None:
        checkpoint = self.machine.begin_checkpoint()
        return None if checkpoint is None else _ObservedCheckpoint(checkpoint, self._on_durable)

    def open_snapshot(self) -> SnapshotReader:
        return self.machine.open_snapshot()

    def begin_restore(self) -> SnapshotWriter:
        return _ObservedWriter(self, self.machine.begin_restore())

    def on_swapped(self) -> None:
        """The whole state was replaced."""
        self._last_applied = self._position_index()
        self._on_durable(self._last_applied, True)


class _ObservedCheckpoint:
    def __init__(self, checkpoint: Checkpoint, on_durable: Callable[[Index, bool], None]) -> None:
        self.index = checkpoint.index
        self.write = checkpoint.write
        self.commit = checkpoint.commit
        self.abort = checkpoint.abort
        self._checkpoint = checkpoint
        self._on_durable = on_durable

    def finish(self, *, committed: bool) -> None:
        self._checkpoint.finish(committed=committed)
        if committed:
            self._on_durable(self.index, False)


class _ObservedWriter:
    def __init__(self, machine: ObservedMachine, writer: SnapshotWriter) -> None:
        self.commit = writer.commit
        self.abort = writer.abort
        self.clean = writer.clean
        self._machine = machine
        self._writer = writer

    def write(self, chunk: bytes) -> None:
        self._machine.before_chunk()
        self._writer.write(chunk)

    def swap(self) -> None:
        self._writer.swap()
        self._machine.on_swapped()

    @property
    def has_leftovers(self) -> bool:
        return self._writer.has_leftovers
