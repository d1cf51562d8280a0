"""The ports of the executor: what a world (runtime or simulator) and a state machine must provide.

Each port is small enough to be faked completely, and each fake passes the same contract test as the real thing.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from raftwerk.durability import Checkpoint, SnapshotReader, SnapshotWriter
from raftwerk.raft.effects import Persist
from raftwerk.raft.messages import Message
from raftwerk.raft.types import Index, NodeId

T = TypeVar("T")

Applying: TypeAlias = Generator[None, None, Sequence[object]]
"""Commands that are being executed, one slice for each `next`; their results come with the last."""


class Journal(Protocol):
    """The durable log. Persists are FIFO and atomic: after a crash, a prefix of them is there, each one whole."""

    def persist(self, persist: Persist) -> None:
        """Begin to make `persist` durable; the world reports Persisted(persist.ticket) to the core when it is."""

    def compact(self, index: Index) -> None:
        """Entries up to and including `index` are no longer needed: forget them when convenient."""

    @property
    def has_room(self) -> bool:
        """False while the disk is full: the node then refuses proposals; what was accepted still fits."""


class Network(Protocol):
    """Sends messages to peers: may lose, delay, duplicate and reorder them, never corrupt them."""

    def send(self, to: NodeId, messages: Sequence[Message]) -> None:
        """Hand over; never blocks. Snapshot chunks travel on a stream of their own."""


class Background(Protocol):
    """Runs what may block on the disk, one job at a time, in order, off the event loop."""

    def run(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `job` elsewhere; later call `done` with its result, or the exception it raised, on the loop."""

    def run_slice(self, job: Callable[[], T]) -> T:
        """Run `job`, which takes about a millisecond, in the same place, and wait for it."""


class StateMachine(Protocol):
    """What is replicated. Deterministic: the same commands in the same order give the same state on every node."""

    def apply(
        self, commands: Sequence[bytes], index: Index, position: bytes
    ) -> Sequence[object] | Applying:
        """Execute `commands` in order, and return their results, one each. Never raises for a bad command.

        What would hold up the loop for more than some milliseconds is better done in slices: do the first, and return
        the others. Until they are all done nothing else is applied and no checkpoint begins, but the machine is read.

        index, position: where the log stands after them. `position` is opaque; the machine keeps it atomically with
        its data. `commands` may be empty (entries that are not for the machine).
        """

    @property
    def position(self) -> bytes:
        """The position last applied; after opening, the one that is durable; b"" for a machine that is new."""

    @property
    def pending_bytes(self) -> int:
        """Applied but not yet in a checkpoint: what a restart would apply again."""

    def begin_checkpoint(self) -> Checkpoint | None:
        """Begin to make the present state durable; None if it is, or if one is under way."""

    def open_snapshot(self) -> SnapshotReader:
        """Open a stream of the last checkpoint (always a committed and durable state)."""

    def begin_restore(self) -> SnapshotWriter:
        """Prepare to receive the state of another node."""
