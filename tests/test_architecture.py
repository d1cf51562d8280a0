"""The core against the paper: no rule is missing, each stands in one place, and each has a test."""

from collections import Counter

import pytest

from tools import paper_map

FIGURE_2 = {
    "STA": ["1a", "1b", "1c", "1d", "2"],
    "AE": ["1", "2", "3", "4", "5"],
    "RV": ["1", "2"],
    "ALL": ["1", "2"],
    "FOL": ["1", "2", "2a", "2b"],
    "CAN": ["1a", "1b", "1c", "1d", "2", "3", "4"],
    "LEA": ["1", "1a", "1b", "2", "3", "3a", "3b", "4"],
}
FIGURE_13 = [f"F2.IS.{number}" for number in range(1, 9)]
RULES = {rule.rule_id: rule for rule in paper_map.rules()}
TESTED = paper_map.tests()


@pytest.mark.parametrize("box", FIGURE_2)
def test_figure_2_is_complete(box: str) -> None:
    """Every rule of the box is carried out somewhere in src/raftwerk/raft."""
    expected = [f"F2.{box}.{number}" for number in FIGURE_2[box]]
    assert [rule_id for rule_id in RULES if rule_id.startswith(f"F2.{box}.")] == expected


def test_figure_13_is_complete() -> None:
    """So is every receiver rule of InstallSnapshot."""
    assert [rule_id for rule_id in RULES if rule_id.startswith("F2.IS.")] == FIGURE_13


def test_each_rule_stands_in_one_place() -> None:
    """An id is written once, at the line that carries the rule out: searching for it finds that line."""
    count = Counter(rule_id for rule_id, _, _ in paper_map.mentions())
    assert count == Counter(list(RULES))


@pytest.mark.parametrize("rule_id", RULES)
def test_rule_says_what_it_asks_for_in_a_function(rule_id: str) -> None:
    """The comment has words, and code follows it."""
    assert len(RULES[rule_id].text.split()) >= 3
    assert RULES[rule_id].function


@pytest.mark.parametrize("rule_id", RULES)
def test_rule_has_a_test(rule_id: str) -> None:
    """At least one test in tests/paper names it."""
    assert TESTED.get(rule_id)


def test_tests_name_rules_that_exist() -> None:
    """An id in tests/paper is one of the source."""
    assert set(TESTED) <= set(RULES)


def test_map_of_the_paper_is_current() -> None:
    """docs/paper.md is what tools/paper_map.py writes."""
    assert paper_map.main(["--check"]) == 0
