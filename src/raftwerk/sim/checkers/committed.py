"""What is committed: the one history. It is on a quorum of disks, it never changes, and every later leader has it.

Leader Completeness (Figure 3): if a log entry is committed in a given term, then it is present in the logs of the leaders
for all higher-numbered terms.
"""

from raftwerk.raft.membership import Membership
from raftwerk.raft.roles import Leader
from raftwerk.raft.state import State
from raftwerk.raft.types import Entry, Index, NodeId, Term
from raftwerk.sim.checkers import Violation, is_quorum
from raftwerk.sim.checkers.durability import Durability, Removal


class Committed:
    """All entries that were ever committed, from index 1."""

    def __init__(self, membership: Membership, durability: Durability) -> None:
        self._membership = membership
        self._durability = durability
        self.entries: list[Entry] = []
        self.terms: list[Term] = []
        """Of each entry: that of the leader who was the first to commit it, not earlier than its own."""
        self._checked: dict[NodeId, Index] = {}
        durability.on_removed = self.on_removed

    @property
    def last_index(self) -> Index:
        return len(self.entries)

    def entry_at(self, index: Index) -> Entry:
        return self.entries[index - 1]

    def on_started(self, node_id: NodeId) -> None:
        self._checked[node_id] = 0

    def on_commit(self, state: State) -> list[Entry]:
        """A node's commit_index may have moved. Returns what is newly committed."""
        node_id, log = state.node_id, state.log
        start = max(self._checked.get(node_id, 0), log.snapshot_index) + 1
        new = []
        for index in range(start, state.commit_index + 1):
            (entry,) = log.slice(index, index + 1)
            if index <= self.last_index:
                committed = self.entries[index - 1]
                if (committed.term, committed.command) != (entry.term, entry.command):
                    raise Violation(
                        "State Machine Safety",
                        f"node {node_id} commits {entry}, but {committed} was committed",
                    )
            else:
                self._check_quorum(state, entry)
                self.entries.append(entry)
                self.terms.append(state.current_term)
                new.append(entry)
        self._checked[node_id] = max(state.commit_index, start - 1)
        return new

    def _check_quorum(self, state: State, entry: Entry) -> None:
        if entry.index != self.last_index + 1:
            raise Violation(
                "Committed on a quorum",
                f"node {state.node_id} commits {entry.index}, nobody committed {self.last_index + 1}",
            )
        holders = self._durability.holders(entry.index, entry.term)
        if not is_quorum(self._membership, holders):
            raise Violation(
                "Committed on a quorum",
                f"node {state.node_id} committed ({entry.index}, term {entry.term}), "
                f"which is on the disks of {sorted(holders)} of {self._membership.voters}",
            )

    def on_step_of_leader(self, state: State, leader: Leader) -> None:
        """What the newest leader believes of its followers is on their disks, or committed anyway."""
        for peer, progress in leader.progress.items():
            match_index = progress.match_index
            if match_index > max(state.log.snapshot_index, self.last_index):
                log = self._durability.log_of(peer)
                if not log.holds(match_index, state.log.term_at(match_index)):
                    raise Violation(
                        "Match index",
                        f"leader {state.node_id} believes that node {peer} holds {match_index}; "
                        f"its disk has {log.last_index}",
                    )

    def on_removed(self, node_id: NodeId, removal: Removal) -> None:
        """No node takes what is committed from its log, once it is in the term in which that was committed.

        Until then it has acknowledged nothing of that term, so no quorum counts on it, and what an older leader asked for may
        come late (seeds 79002759, 79005014). What was under way to its disk before the commitment may be done later (seed
        72003276): `_check_quorum` did not count on that disk.
        """
        index, term = removal.index, removal.term
        if index > self.last_index or self.entries[index - 1].term != term:
            return
        if removal.node_term >= self.terms[index - 1]:
            raise Violation(
                "Committed on a quorum", f"node {node_id} removed the committed ({index}, {term})"
            )

    def on_leader(self, state: State) -> None:
        """Somebody was elected: Leader Completeness."""
        log = state.log
        for index in range(log.snapshot_index, self.last_index + 1):
            term = self.entries[index - 1].term if index else 0
            committed_in = self.terms[index - 1] if index else 0
            if 0 < committed_in < state.current_term and not log.matches(index, term):
                raise Violation(
                    "Leader Completeness",
                    f"node {state.node_id} leads in term {state.current_term} without the committed ({index}, term {term})",
                )
