"""Checkpoints of the state machine: when to make one, and how, without holding up the loop.

Slices are written while the loop waits, for about a millisecond in a turn; only the commit, which waits for the disk, runs beside
it. For longer while much waits for the next checkpoint: what is in memory must not grow faster than it is written.

All members apply the same, so each has a phase of its own: they would else all write at the same moment, and no majority would
be left that answers quickly.
"""

import math
from collections.abc import Callable, Sequence

from raftwerk.durability import Checkpoint
from raftwerk.errors import DiskFull
from raftwerk.raft.types import Index, NodeId
from raftwerk.replica.ports import Background, StateMachine

INTERVAL_MS = 2_000
"""At least so often while there is something new: a restart applies the log from the last one on."""
PENDING_BYTES_MAX = 8 * 1024 * 1024
"""At once when so much is new: it is held in memory until then."""
WRITE_S = 0.001
"""In a turn; the slice that is begun then is written to its end."""
EXTRA_BYTES = 4 * 1024 * 1024
"""With each so many that wait for the next checkpoint, this one is written for so much longer in a turn."""
EXTRA_MAX = 4
"""Times."""
RETRY_MS = 1_000
"""After the disk was full."""
STUCK_BYTES_MAX = 256 * 1024 * 1024
"""A full disk is waited for until so much is held in memory: what others commit must be applied all the same."""


def phase_of(node_id: NodeId, nodes: Sequence[NodeId]) -> float:
    """Where in a round a member has its turn, in (0, 1]; 1 for who is not among them.

    >>> [phase_of(node_id, (3, 8)) for node_id in (3, 8, 9)]
    [0.5, 1.0, 1.0]
    """
    return (nodes.index(node_id) + 1) / len(nodes) if node_id in nodes else 1.0


class Checkpoints:
    """Makes one checkpoint at a time."""

    def __init__(
        self,
        machine: StateMachine,
        background: Background,
        on_durable: Callable[[Index], None],
        clock: Callable[[], float],
        *,
        phase: float,
    ) -> None:
        """clock: seconds since some moment. phase: in (0, 1], which part of an interval, or of the most bytes, is the first."""
        self._machine = machine
        self._background = background
        self._on_durable = on_durable
        self._clock = clock
        self._phase = phase
        self._large_bytes = phase * PENDING_BYTES_MAX
        """A checkpoint by size leaves the members as far apart as they were, one by time need not."""
        self._current: Checkpoint | None = None
        self._is_committing = False
        self._not_before_ms = int(phase * INTERVAL_MS)
        self._after: list[Callable[[], None]] = []
        self._for_next: list[Callable[[], None]] = []
        self._for_current: list[Callable[[], None]] = []
        """Who wants to have in a checkpoint what was there: not yet in this one, and in this one."""
        self.failure: Exception | None = None
        """Why the store cannot be written any more: the node must stop."""
        self.is_disk_full = False

    @property
    def is_under_way(self) -> bool:
        return self._current is not None

    def advance(self, now_ms: int, until_s: float = math.inf) -> bool:
        """Begin one if it is time; write some of the one under way. Returns whether there is more to write now.

        until_s: by the clock; after it no more is written than for WRITE_S, unless the most waits for the next one.
        """
        if self.failure is not None:
            return False
        if self._current is None:
            is_large = self._machine.pending_bytes >= self._large_bytes and not self.is_disk_full
            if not is_large and now_ms < self._not_before_ms:
                return False
            self._not_before_ms = now_ms + INTERVAL_MS
            self._large_bytes = PENDING_BYTES_MAX * (1.0 if is_large else self._phase)
            self._current = self._machine.begin_checkpoint()
            self._for_current, self._for_next = self._for_next, []
            if self._current is None:
                self.is_disk_full = False  # nothing waits for space
                self._tell_made()
                return False
        if self._is_committing:
            return False
        checkpoint = self._current
        times = 1 + min(self._machine.pending_bytes // EXTRA_BYTES, EXTRA_MAX)

        def write() -> bool:
            begun_s = self._clock()
            over_s = begun_s + times * WRITE_S
            if times <= EXTRA_MAX:
                over_s = min(over_s, max(begun_s + WRITE_S, until_s))
            while not checkpoint.write():
                if self._clock() >= over_s:
                    return False
            return True

        try:
            is_written = self._background.run_slice(write)
        except Exception as error:  # noqa: BLE001  (settled below: a full disk is waited for, anything else stops the node)
            self._finish(error, now_ms)
            return False
        if is_written:
            self._is_committing = True
            self._background.run(
                checkpoint.commit,
                lambda result: self._finish(result, self._not_before_ms - INTERVAL_MS),
            )
        return not is_written

    def when_made(self, action: Callable[[], None]) -> None:
        """Run `action`, later, as soon as what is there now is in a checkpoint, or found no space for it."""
        self._for_next.append(action)
        if not self.is_disk_full:
            self._not_before_ms = 0

    def _tell_made(self) -> None:
        made, self._for_current = self._for_current, []
        for action in made:
            action()

    def when_idle(self, action: Callable[[], None]) -> None:
        """Run `action` now, or as soon as the checkpoint under way is finished."""
        if self._current is None:
            action()
        else:
            self._after.append(action)

    def stop(self) -> None:
        """The state machine will be closed: give up the one under way. A commit is left to the Background."""
        checkpoint, self._current = self._current, None
        if checkpoint is not None and not self._is_committing:
            self._background.run_slice(checkpoint.abort)

    def _finish(self, result: Exception | None, now_ms: int) -> None:
        checkpoint = self._current
        if checkpoint is None:
            return  # stopped meanwhile
        self._current = None
        self._is_committing = False
        checkpoint.finish(committed=result is None)
        self.is_disk_full = isinstance(result, DiskFull)
        if result is None:
            self._on_durable(checkpoint.index)
            self._tell_made()
        elif self.is_disk_full and self._machine.pending_bytes < STUCK_BYTES_MAX:
            self._not_before_ms = now_ms + RETRY_MS
            self._tell_made()
        else:
            self.failure = result
        after, self._after = self._after, []
        for action in after:
            action()
