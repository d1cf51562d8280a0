"""Constants of one node's core: time in milliseconds of Tick, sizes in bytes of commands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """Every queue and every message of the core is bounded by a number here."""

    heartbeat_interval_ms: int = 100
    election_timeout_ms: int = 1000
    """The minimum: each wait is drawn from [election_timeout_ms, 2 * election_timeout_ms)."""
    early_campaign_stagger_ms: int = 20
    """After the leader's process died, the n-th voter waits n staggers, so that early candidates do not collide."""
    message_bytes_max: int = 512 * 1024
    """Entries in one AppendEntries, by size of their commands; one larger entry travels alone."""
    message_entries_max: int = 4096
    window_messages_max: int = 128
    """AppendEntries in flight to one follower."""
    window_bytes_max: int = 16 * 1024 * 1024
    uncommitted_entries_max: int = 65_536
    """The leader refuses proposals while this many entries wait for commitment (back-pressure)."""
    uncommitted_bytes_max: int = 64 * 1024 * 1024
    forwards_max: int = 4096
    """Messages with commands that wait for the leader's answer; a follower refuses what would be one more."""
    apply_entries_max: int = 1000
    """Entries handed out for execution in one step, so that no step takes long."""
    apply_bytes_max: int = 4 * 1024 * 1024
    tail_entries: int = 5_000
    """Kept in the log behind a checkpoint for slow followers: cheaper than a snapshot."""
    tail_bytes_max: int = 64 * 1024 * 1024
    let_go_max: int = 500
    """Entries that the log lets go in one step, while it is to let go no great number of them (compaction.py)."""
    read_rounds_max: int = 4
    """Rounds of leadership confirmation in flight; reads that come meanwhile share the next one."""

    tell_commit_after_ms: int = 0
    """How long a new commit_index may wait for entries to travel with, if no client of the follower waits for it."""

    def __post_init__(self) -> None:
        assert 0 < self.heartbeat_interval_ms < self.election_timeout_ms
        assert self.message_entries_max > 0
        assert self.message_bytes_max > 0
        assert self.window_messages_max > 0
        assert self.let_go_max > 0
