"""State machines in the virtual world: what survives a crash, and an onlooker between executor and machine.

A Home is where one node's state machine lives: `open` gives the machine as the last crash left it. Users put a state machine
of their own into the simulator with a Home of their own.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.types import Index
from raftwerk.replica.ports import Applying, StateMachine
from raftwerk.replica.position import Position
from raftwerk.storage.memory import MemoryStore

MAINTAIN_ROWS: Final = 20
SLICE_ROWS: Final = 1
"""So few that commands on several keys are done in slices."""
ALL_ROWS: Final = 10**9


class Home(Protocol):
    """Where one node's state machine lives."""

    def open(self) -> StateMachine:
        """The machine with its durable state: what the last checkpoint, or restore, made so."""

    def tick(self) -> None:
        """From time to time while the node runs: what the machine does beside its commands."""


class KvHome:
    """The key-value machine over the memory store."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self.machine = KvMachine(self._store)

    def open(self) -> KvMachine:
        self._store = self._store.reopen()
        self.machine = KvMachine(self._store, slice_rows=SLICE_ROWS)
        return self.machine

    def tick(self) -> None:
        if self.machine.has_garbage:
            self.machine.maintain(MAINTAIN_ROWS)


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
    ) -> None:
        """on_apply(last_applied, commands, index, results). on_durable(index, was_installed)."""
        self.machine = machine
        self._on_apply = on_apply
        self._on_durable = on_durable
        self._last_applied = self._position_index()

    def _position_index(self) -> Index:
        position = self.machine.position
        return Position.decode(position).last_index if position else 0

    def apply(
        self, commands: Sequence[bytes], index: Index, position: bytes
    ) -> Sequence[object] | Applying:
        results = self.machine.apply(commands, index, position)
        if isinstance(results, Generator):
            return self._applying(results, commands, index)
        self._applied(commands, index, results)
        return results

    def _applying(self, steps: Applying, commands: Sequence[bytes], index: Index) -> Applying:
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
        self.write = writer.write
        self.commit = writer.commit
        self.abort = writer.abort
        self._machine = machine
        self._writer = writer

    def swap(self) -> None:
        self._writer.swap()
        self._machine.on_swapped()
