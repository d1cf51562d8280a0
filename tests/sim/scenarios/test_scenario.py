"""Scenarios, and playing them."""

import io
from functools import partial

import pytest

from raftwerk.sim.options import Options
from raftwerk.sim.scenarios.scenario import Scenario, perform
from raftwerk.sim.scenarios.stage import Stage
from raftwerk.sim.trace import TraceLost


class FullDisk(io.StringIO):
    """Takes nothing."""

    def write(self, _text: str) -> int:
        raise OSError("no space left")


def nobody_leads(stage: Stage) -> None:
    """Nobody leads: never true for long.

    No more of this is told.
    """
    stage.no_leader()


def test_scenario_that_breaks_is_told_with_its_story() -> None:
    file = io.StringIO()
    failure = perform(Scenario("Broken", nobody_leads, Options()), seed=3, file=file)
    assert failure is not None
    assert (failure.seed, failure.invariant[:24]) == (3, "Broken: AssertionError: ")
    assert failure.story
    assert str(failure).endswith(
        "again: raftwerk sim --scenario Broken --seed 3 --trace trace.jsonl"
    )
    assert file.getvalue().count("\n") > 10


def test_scenario_is_told_in_one_line_with_what_is_its_own() -> None:
    assert Scenario("A", nobody_leads, Options()).text == "Nobody leads: never true for long."
    other = Scenario("B", partial(nobody_leads), Options(), amid="a lossy network")
    assert other.text == "Nobody leads: never true for long (a lossy network)."


def test_trace_that_cannot_be_written_says_nothing_about_the_code() -> None:
    with pytest.raises(TraceLost, match="the trace cannot be written: no space left"):
        perform(Scenario("Broken", nobody_leads, Options()), file=FullDisk())
