"""Log Matching."""

import pytest

from raftwerk.raft.types import Entry, EntryKind
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.log_matching import LogMatching


def entry(index: int, term: int, command: bytes = b"") -> Entry:
    return Entry(index, term, EntryKind.COMMAND, command)


def test_equal_entries_match() -> None:
    matching = LogMatching()
    matching.on_entries(1, [entry(1, 1), entry(2, 1)], 0)
    matching.on_entries(2, [entry(2, 1)], 1)
    with pytest.raises(Violation, match="elsewhere 1"):
        matching.on_entries(2, [entry(2, 1)], 3)


def test_another_command_at_the_same_index_and_term() -> None:
    matching = LogMatching()
    matching.on_entries(1, [entry(1, 1, b"a")], 0)
    with pytest.raises(Violation, match="Log Matching"):
        matching.on_entries(2, [entry(1, 1, b"b")], 0)


def test_another_term_before_the_same_entry() -> None:
    matching = LogMatching()
    matching.on_entries(1, [entry(1, 1), entry(2, 3)], 0)
    with pytest.raises(Violation, match="before"):
        matching.on_entries(2, [entry(1, 2), entry(2, 3)], 0)


def test_what_is_not_known_is_filled_in_later() -> None:
    matching = LogMatching()
    matching.on_entries(1, [entry(5, 3)], None)
    matching.on_entries(2, [entry(5, 3)], 2)
    with pytest.raises(Violation, match="before"):
        matching.on_entries(3, [entry(5, 3)], 1)
