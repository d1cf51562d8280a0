"""State machine durability in two ideas: a checkpoint, and a snapshot stream (DESIGN: "one small idea").

checkpoint: the state up to an index is on stable storage together with that index, atomically. The log may be compacted
up to it. snapshot: a consistent stream of the state at one position, written by one node and restored by another while
both go on working. The log keeps no snapshots: the checkpoint is the snapshot.
"""

from typing import Protocol


class Checkpoint(Protocol):
    """One checkpoint in the making. `write`, `commit` and `abort` run in the Background, `finish` on the loop."""

    @property
    def index(self) -> int:
        """The state up to and including this index becomes durable."""

    def write(self) -> bool:
        """Write one bounded slice (a millisecond at most, as a rule). Returns True when nothing is left to write."""

    def commit(self) -> None:
        """Make data and position durable, atomically. May block on the disk.

        Raises DiskFull: nothing was lost, the checkpoint may be tried again; DiskFailed: the node must stop.
        """

    def abort(self) -> None:
        """Instead of further slices and the commit: forget what was written, since the state machine will be closed."""

    def finish(self, *, committed: bool) -> None:
        """Let readers see the committed state, or, if `committed` is false, give the changes back."""


class SnapshotReader(Protocol):
    """A consistent stream of the whole state at one position, while writes go on."""

    @property
    def position(self) -> bytes:
        """The position (see StateMachine.apply) whose state this is."""

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`: the next ones, or again the last ones read, and then as many. b"" at the end."""

    def close(self) -> None:
        """Release what is held."""


class SnapshotWriter(Protocol):
    """Receives such a stream beside the present state. `write`, `commit`, `abort` and `clean` run in the Background."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises CorruptData when the stream is damaged."""

    def commit(self) -> None:
        """Check that the stream is whole and make it what a start finds, durably and atomically. May block on the disk.

        Raises CorruptData for a damaged stream and DiskFull: the present state stays the one that a start finds.
        Raises DiskFailed: which one it finds is unknown, so the node must stop.
        """

    def swap(self) -> None:
        """After `commit`: go on with it instead of the present state. No checkpoint is under way. In memory only."""

    def abort(self) -> None:
        """Instead of `swap`: forget what was received. Once it is committed, it stays what a start finds."""

    @property
    def has_leftovers(self) -> bool:
        """After `swap` or `abort`: whether there is something that nobody needs. What `clean` leaves, the next start removes."""

    def clean(self) -> None:
        """Remove a bounded part of it. May block on the disk."""
