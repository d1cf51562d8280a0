"""next_index[] and match_index[] of Figure 2 for one follower, and how its log is being brought up to date.

PROBE      the match is not known: one message, then wait for the answer or the next heartbeat
REPLICATE  the logs match: optimistic pipeline, bounded by a window
SNAPSHOT   the entries it needs are compacted away: chunks of a snapshot, one at a time, on their own stream
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from raftwerk.raft.config import Config
from raftwerk.raft.types import Index

DOUBLINGS_MAX = 4
"""Of the pause after a refused snapshot: a member whose disk is full takes all that there is room for each time, in vain."""


class Mode(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Progress:
    """What the leader knows of one follower. Invariant: 0 <= match_index < next_index."""

    next_index: Index
    match_index: Index = 0
    mode: Mode = Mode.PROBE
    is_waiting: bool = False
    """PROBE only: a message was sent and not answered since the last heartbeat."""
    in_flight: deque[tuple[Index, int]] = field(default_factory=deque)
    """REPLICATE only: (last index, bytes) of each unanswered message that carries entries."""
    in_flight_bytes: int = 0
    silent_ms: int = 0
    """Since the last message of any kind from it in this term (check-quorum, thesis 6.2)."""
    read_round: int = 0
    """The newest round of leadership confirmation that it answered (thesis 6.4)."""
    short_logs: int = 0
    """Refusals since the last match that say that its log ends within the match."""
    told_commit_index: Index = 0
    """The newest leader_commit sent to it."""
    awaited_index: Index = 0
    """The last entry that came from it: its clients wait until it knows that commit_index is there."""
    snapshot_index: Index = 0
    """SNAPSHOT only: last_included_index of the stream under way; 0 until its first chunk is answered."""
    snapshot_offset: int = 0
    """SNAPSHOT only: the byte asked for last."""
    snapshot_silent_ms: int = 0
    """SNAPSHOT only: since that byte was sent. At an election timeout it goes again, or waits for a sign of life."""
    refusals: int = 0
    """SNAPSHOT only: how often it wanted the snapshot from its beginning, or could not take it."""
    is_refusing: bool = False
    """SNAPSHOT only: it did, and nothing was sent since."""

    def is_heard(self, config: Config) -> bool:
        """Whether it said anything within an election timeout."""
        return self.silent_ms < config.election_timeout_ms

    def snapshot_timeout_ms(self, config: Config) -> int:
        """How long a chunk waits for its answer; after refusals the whole snapshot for its turn, longer with each."""
        pauses = 2 ** min(self.refusals - 1, DOUBLINGS_MAX) if self.is_refusing else 1
        return pauses * config.election_timeout_ms

    def can_send(self, config: Config) -> bool:
        """Whether a message with entries may go out now."""
        if self.mode is Mode.PROBE:
            return not self.is_waiting
        return (
            self.mode is Mode.REPLICATE
            and len(self.in_flight) < config.window_messages_max
            and self.in_flight_bytes < config.window_bytes_max
        )

    def on_sent(self, last_index: Index, size: int) -> None:
        """A message with entries up to `last_index` went out."""
        if self.mode is Mode.PROBE:
            self.is_waiting = True
        else:
            assert self.mode is Mode.REPLICATE
            # T10.2.2: pipelining: next_index moves on when the message is sent, without waiting for the answer
            self.next_index = last_index + 1
            self.in_flight.append((last_index, size))
            self.in_flight_bytes += size

    def on_match(self, match_index: Index) -> bool:
        """The follower's log matches, durably, up to match_index. Returns whether that is news."""
        while self.in_flight and self.in_flight[0][0] <= match_index:
            self.in_flight_bytes -= self.in_flight.popleft()[1]
        is_news = match_index > self.match_index
        self.match_index = max(self.match_index, match_index)
        self.next_index = max(self.next_index, self.match_index + 1)
        return is_news

    def on_refused(self) -> None:
        """A snapshot: the next one begins anew, and nothing is kept for this one."""
        self.refusals += 1
        self.is_refusing = True
        self.snapshot_index = 0
        self.snapshot_offset = 0
        self.snapshot_silent_ms = 0

    def become_probe(self, next_index: Index) -> None:
        """Forget the pipeline: what follows the match is not known."""
        self._enter(Mode.PROBE)
        self.next_index = max(next_index, self.match_index + 1)

    def become_replicate(self) -> None:
        self._enter(Mode.REPLICATE)
        self.next_index = self.match_index + 1

    def become_snapshot(self) -> None:
        self._enter(Mode.SNAPSHOT)

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        self.is_waiting = False
        self.in_flight.clear()
        self.in_flight_bytes = 0
        self.snapshot_index = 0
        self.snapshot_offset = 0
        self.snapshot_silent_ms = 0
        self.refusals = 0
        self.is_refusing = False
