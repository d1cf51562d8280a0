"""What an exploration covers: its bounds, and the state in which it begins."""

from dataclasses import dataclass
from typing import Final

from raftwerk.errors import UsageError
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Term

SEPARATOR: Final = "/"
TIMEOUT_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within these, everything that can happen does; what has no bound here has none.

    terms: no election beyond this one. proposals, reads, crashes: of all nodes together.
    """

    nodes: int = 3
    terms: int = 2
    proposals: int = 1
    reads: int = 0
    crashes: int = 0
    message_entries: int = 4
    """Entries in one AppendEntries."""
    is_disk_instant: bool = False
    """A step and its persist are one action: a crash comes before or after both."""
    has_pre_vote: bool = False
    """Elections begin as in production, by a timeout and a pre-vote; else at any time, without one."""
    has_check_quorum: bool = True
    """A leader may step down at any time, as if it had lost contact with a majority."""
    are_followers_asked: bool = False
    """Clients propose and read at followers too, who hand it on to the leader."""
    start: str = ""
    """The logs at the beginning, node by node, as the terms of their entries: "1 2 / 1 / 1 3"; "": all are empty."""
    committed: int = 0
    """So many of the entries at the beginning were committed before, though nobody remembers: all nodes have just started."""

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be."""
        if not 1 <= self.nodes <= 5:
            raise UsageError(f"{self.nodes} nodes: can be 1 to 5")
        if min(self.terms, self.message_entries) < 1:
            raise UsageError("terms and entries in a message: at least 1")
        if min(self.proposals, self.reads, self.crashes) < 0:
            raise UsageError("proposals, reads and crashes: not less than 0")
        logs = self.start_logs
        if min(min(log, default=1) for log in logs) < 1:
            raise UsageError(f"terms begin with 1: {self.start!r}")
        if any(list(log) != sorted(log) for log in logs):
            raise UsageError(f"terms fall along a log: {self.start!r}")
        if self.start_term >= self.terms:
            raise UsageError(
                f"the start is in term {self.start_term}, and there is no election beyond term {self.terms}: nothing can happen"
            )
        if self.committed < 0:
            raise UsageError(f"{self.committed} entries cannot be committed: not less than 0")
        holders = [log for log in logs if log[: self.committed] == self.start_committed]
        is_on_quorum = 2 * len(holders) > self.nodes
        if len(self.start_committed) != self.committed or not is_on_quorum:
            raise UsageError(
                f"{self.committed} entries are not on a majority of the start {self.start!r}"
            )

    @property
    def start_logs(self) -> list[tuple[Term, ...]]:
        """For each node the terms of its first entries."""
        if not self.start.strip():
            return [()] * self.nodes
        logs = self.start.split(SEPARATOR)
        if len(logs) != self.nodes:
            raise UsageError(f"logs of {len(logs)} nodes, there are {self.nodes}: {self.start!r}")
        try:
            return [tuple(int(term) for term in log.split()) for log in logs]
        except ValueError as error:
            raise UsageError(f"not a list of terms: {self.start!r}") from error

    @property
    def start_committed(self) -> tuple[Term, ...]:
        """The terms of the entries that were committed at the beginning."""
        logs = [log[: self.committed] for log in self.start_logs]
        return max(logs, key=logs.count)

    @property
    def start_term(self) -> Term:
        """All nodes are in it at the beginning."""
        return max(max(log, default=0) for log in self.start_logs)

    @property
    def membership(self) -> Membership:
        return Membership(tuple(range(1, self.nodes + 1)))

    @property
    def config(self) -> Config:
        """Of every core. Time stands still but for what actions do (node.py), so a heartbeat is as short as can be."""
        return Config(
            heartbeat_interval_ms=1,
            election_timeout_ms=TIMEOUT_MS,
            message_entries_max=self.message_entries,
        )
