"""Every scenario by name."""

import io

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.options import Options
from raftwerk.sim.scenarios.catalogue import SCENARIOS, Scenario, find, perform
from raftwerk.sim.scenarios.stage import Stage


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    failure = perform(SCENARIOS[name])
    assert failure is None, str(failure)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_says_what_it_is_about(name: str) -> None:
    assert len(SCENARIOS[name].text) > 20


def test_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="InitialElection"):
        find("InitialErection")


def test_scenario_that_breaks_is_told_with_its_story() -> None:
    def play(stage: Stage) -> None:
        """Nobody leads: never true for long."""
        stage.no_leader()

    file = io.StringIO()
    failure = perform(Scenario("Broken", play, Options()), seed=3, file=file)
    assert failure is not None
    assert (failure.seed, failure.invariant[:24]) == (3, "Broken: AssertionError: ")
    assert failure.story
    assert file.getvalue().count("\n") > 10
