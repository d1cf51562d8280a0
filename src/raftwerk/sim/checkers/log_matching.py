"""Log Matching (Figure 3): if two logs contain an entry with the same index and term, they are identical up to there.

By induction: an entry is known by its index and term, and wherever it is, the same command stands in it, and an entry of the
same term before it. So each entry is compared once, when it is handed to a disk or comes back from one.
"""

from collections.abc import Iterable

from raftwerk.raft.types import Entry, Index, NodeId, Term
from raftwerk.sim.checkers import Violation


class LogMatching:
    """Every entry that was ever in a log."""

    def __init__(self) -> None:
        self._known: dict[tuple[Index, Term], tuple[Term | None, Entry]] = {}

    def on_entries(self, node_id: NodeId, entries: Iterable[Entry], prev_term: Term | None) -> None:
        """Entries that follow each other are in a log. prev_term: of the entry before them; None: not known."""
        known = self._known
        for entry in entries:
            key = (entry.index, entry.term)
            first = known.setdefault(key, (prev_term, entry))
            if first[1] != entry:
                raise Violation(
                    "Log Matching", f"node {node_id} has {entry}, another node {first[1]}"
                )
            if first[0] is None:
                known[key] = (prev_term, entry)
            elif prev_term is not None and first[0] != prev_term:
                raise Violation(
                    "Log Matching",
                    f"node {node_id}: before {key} an entry of term {prev_term}, elsewhere {first[0]}",
                )
            prev_term = entry.term
