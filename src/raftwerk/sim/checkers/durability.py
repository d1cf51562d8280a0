"""Durability: nothing is vouched for that the disk does not hold, and what the disk holds comes back whole.

Keeps a model of each node's log on stable storage, made of the Persists that were reported durable. Figure 2: "updated on
stable storage before responding to RPCs".
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from raftwerk.raft.effects import Persist
from raftwerk.raft.messages import (
    AppendEntriesReply,
    InstallSnapshotReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raftwerk.raft.state import State
from raftwerk.raft.types import NOBODY, Index, NodeId, Term
from raftwerk.sim.checkers import Violation
from raftwerk.wal.log import Recovered


@dataclass(frozen=True, slots=True)
class Removal:
    """An entry that a node takes from its log on purpose. node_term: the node's, as it began that step."""

    index: Index
    term: Term
    node_term: Term


@dataclass(slots=True)
class DurableLog:
    """One node's log on stable storage, as it was promised. terms: of the entries after base_index."""

    current_term: Term = 0
    voted_for: NodeId = NOBODY
    base_index: Index = 0
    terms: list[Term] = field(default_factory=list)
    checkpoint_index: Index = 0
    """Of the state machine; it stands in for the entries up to there."""

    @property
    def last_index(self) -> Index:
        return self.base_index + len(self.terms)

    def take(self, persist: Persist) -> None:
        """Carry out one Persist."""
        self.current_term = persist.current_term
        self.voted_for = persist.voted_for
        if persist.reset_to is not None:
            self.base_index = persist.reset_to.last_included_index
            self.terms.clear()
        if persist.truncate_from:
            del self.terms[persist.truncate_from - self.base_index - 1 :]
        self.terms.extend(entry.term for entry in persist.entries)

    def removed_by(self, persist: Persist) -> list[Removal]:
        """The entries that the next Persist takes away."""
        start = persist.truncate_from or self.last_index + 1
        if persist.reset_to is not None:
            start = max(self.base_index, persist.reset_to.last_included_index) + 1
        return [
            Removal(index, self.terms[index - self.base_index - 1], self.current_term)
            for index in range(start, self.last_index + 1)
        ]

    def after(self, persists: Iterable[Persist]) -> "DurableLog":
        """As this log will be when these are carried out."""
        log = self.copy()
        for persist in persists:
            log.take(persist)
        return log

    def holds(self, index: Index, term: Term) -> bool:
        """Whether the entry at `index` is of `term`, or its effect is in the state machine's checkpoint."""
        if index <= max(self.base_index, self.checkpoint_index):
            return True
        return index <= self.last_index and self.terms[index - self.base_index - 1] == term

    def holds_since(self, index: Index, term: Term) -> bool:
        """Whether there is an entry at `index` that came in `term` or before, or its effect."""
        if index <= max(self.base_index, self.checkpoint_index):
            return True
        return index <= self.last_index and self.terms[index - self.base_index - 1] <= term

    def copy(self) -> "DurableLog":
        return DurableLog(
            self.current_term,
            self.voted_for,
            self.base_index,
            list(self.terms),
            self.checkpoint_index,
        )

    def difference(self, recovered: Recovered) -> str:
        """How what was found on the disk differs from this; "" if it does not."""
        if (recovered.current_term, recovered.voted_for) != (self.current_term, self.voted_for):
            return (
                f"term {recovered.current_term} and vote {recovered.voted_for} were found, "
                f"{self.current_term} and {self.voted_for} had been written"
            )
        log = recovered.log
        if log.last_index != self.last_index:
            return f"the log ends at {log.last_index}, written up to {self.last_index}"
        start = max(log.snapshot_index, self.base_index)
        found = [entry.term for entry in log.slice(start + 1, log.last_index + 1)]
        if found != self.terms[start - self.base_index :]:
            return f"other terms after {start}: {found}"
        return ""


def _removes(persist: Persist, index: Index) -> bool:
    """Whether a Persist takes the entry at `index` away, if there is one."""
    if persist.reset_to is not None:
        return index > persist.reset_to.last_included_index
    return 0 < persist.truncate_from <= index


class Durability:
    """The durable logs of all nodes.

    waiting: what was handed over to each journal and not reported durable yet, oldest first.
    """

    def __init__(self) -> None:
        self.logs: dict[NodeId, DurableLog] = {}
        self.waiting: dict[NodeId, deque[Persist]] = {}
        self.on_removed: Callable[[NodeId, Removal], None] | None = None
        """Told of each as the node decides it: its disk may be slow."""

    def log_of(self, node_id: NodeId) -> DurableLog:
        return self.logs.setdefault(node_id, DurableLog())

    def holders(self, index: Index, term: Term) -> set[NodeId]:
        """The nodes on whose disks the entry is, and from whose disks nothing under way takes it."""
        return {
            node_id
            for node_id, log in self.logs.items()
            if log.holds(index, term)
            and not any(_removes(persist, index) for persist in self.waiting.get(node_id, ()))
        }

    def on_persist(self, node_id: NodeId, persist: Persist) -> None:
        """Handed over to the journal."""
        waiting = self.waiting.setdefault(node_id, deque())
        if self.on_removed is not None and (persist.truncate_from or persist.reset_to is not None):
            for removal in self.log_of(node_id).after(waiting).removed_by(persist):
                self.on_removed(node_id, removal)
        waiting.append(persist)

    def on_persisted(self, node_id: NodeId, ticket: int) -> None:
        """Reported durable."""
        log, waiting = self.log_of(node_id), self.waiting.setdefault(node_id, deque())
        while waiting and waiting[0].ticket <= ticket:
            log.take(waiting.popleft())

    def on_checkpointed(self, node_id: NodeId, index: Index) -> None:
        log = self.log_of(node_id)
        log.checkpoint_index = max(log.checkpoint_index, index)

    def on_recovered(self, node_id: NodeId, recovered: Recovered) -> None:
        """A node starts: its log is what was promised, and perhaps some of what was under way, in order."""
        log = self.log_of(node_id)
        waiting = self.waiting.pop(node_id, deque())
        first_difference = log.difference(recovered)
        while log.difference(recovered):
            if not waiting:
                raise Violation("Durability", f"node {node_id} starts again: {first_difference}")
            log.take(waiting.popleft())
        self.logs[node_id] = log

    def on_started(self, node_id: NodeId, state: State) -> None:
        """The state machine's position proves a term too (replica/recovery.py)."""
        log = self.log_of(node_id)
        if state.last_applied < log.checkpoint_index:
            raise Violation(
                "Durability",
                f"node {node_id} starts with the state of {state.last_applied}, {log.checkpoint_index} was durable",
            )
        log.current_term = max(log.current_term, state.current_term)

    def on_send(self, state: State, to: NodeId, message: Message) -> None:
        """A message leaves: what it says is durable here."""
        node_id = state.node_id
        log = self.log_of(node_id)
        if message.term > log.current_term:
            raise Violation(
                "Durability",
                f"node {node_id} sent {message} before term {message.term} was durable",
            )
        if isinstance(message, AppendEntriesReply):
            if message.success:
                self._check_match(state, log, message)
        elif isinstance(message, InstallSnapshotReply):
            holds = max(log.checkpoint_index, state.commit_index) >= message.last_included_index
            if message.installed and not holds:
                raise Violation(
                    "Durability",
                    f"node {node_id} said that {message.last_included_index} is installed; it is not",
                )
        elif isinstance(message, RequestVoteReply):
            if message.vote_granted:
                self._check_vote(node_id, log, message.term, to)
        elif isinstance(message, RequestVote):
            self._check_vote(node_id, log, message.term, node_id)

    def _check_match(self, state: State, log: DurableLog, reply: AppendEntriesReply) -> None:
        match_index = reply.match_index
        if match_index <= state.log.snapshot_index:
            return
        if reply.term < state.current_term:
            # It was let go in the step in which the node went on to a newer term: another log may be in memory already
            holds = log.holds_since(match_index, reply.term)
        else:
            is_there = match_index <= state.log.last_index
            holds = is_there and log.holds(match_index, state.log.term_at(match_index))
        if not holds:
            raise Violation(
                "Durability",
                f"node {state.node_id} vouched for {match_index}, its disk has {log.last_index}",
            )

    def _check_vote(self, node_id: NodeId, log: DurableLog, term: Term, candidate: NodeId) -> None:
        if (log.current_term, log.voted_for) != (term, candidate):
            raise Violation(
                "Durability",
                f"node {node_id} voted for {candidate} in term {term}, its disk has vote {log.voted_for} of {log.current_term}",
            )
