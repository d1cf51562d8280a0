"""The words of the paper's Figure 2 as types: terms, indexes, nodes, and the entries of the log.

Indexes start at 1; index 0 and term 0 stand before the first entry of an empty log.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple, TypeAlias, cast

NodeId: TypeAlias = int
"""Identity of one participant: 1 .. 2**64 - 1, never reused. 0 means "nobody"."""

Term: TypeAlias = int
Index: TypeAlias = int

NOBODY: Final[NodeId] = 0


class EntryKind(IntEnum):
    """What an entry means. The numbers are on disk and on the wire: never reused."""

    COMMAND = 0
    """For the state machine."""
    NO_OP = 1
    """Of the leader at the start of its term (paper section 8)."""
    MEMBERSHIP = 2
    """An encoded Membership (thesis 4.1): adopted when appended, rolled back when truncated."""


class Entry(NamedTuple):
    """One entry of the log: its place, the term of the leader that made it, and its command."""

    index: Index  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    term: Term
    kind: EntryKind
    command: bytes


new_entry: Final = cast(
    "Callable[[tuple[Index, Term, EntryKind, bytes]], Entry]", partial(tuple.__new__, Entry)
)
"""Entry._make without a call in Python: two thirds of its cost, for who makes many."""


class Snapshot(NamedTuple):
    """What the core knows of a snapshot: where it ends, and who was a member there (Figure 13)."""

    last_included_index: Index
    last_included_term: Term
    membership: bytes
