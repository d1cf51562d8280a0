"""What is told."""

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.report import Report, outcome_of


def test_a_violation_names_its_property() -> None:
    assert outcome_of(Violation("Log Matching", "seen")) == ("Log Matching", "seen")


def test_an_assertion_without_words_is_told_by_its_line() -> None:
    with pytest.raises(AssertionError) as caught:
        Bounds(message_entries=4).config.__class__(heartbeat_interval_ms=0)
    invariant, text = outcome_of(caught.value)
    assert invariant == "Invariant of the core"
    assert text.startswith("__post_init__: assert 0 < self.heartbeat_interval_ms")


def test_states_are_those_of_all_levels() -> None:
    assert Report(levels=[1, 2, 3]).states == 6
