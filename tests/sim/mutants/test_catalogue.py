"""Every mutant is caught by its scenario: the checks would notice these defects."""

import pytest

from raftwerk.sim.campaign import hunt
from raftwerk.sim.mutants.catalogue import BY_NAME, MUTANTS
from raftwerk.sim.scenarios.catalogue import SCENARIOS


@pytest.mark.parametrize("name", BY_NAME)
def test_mutant_is_caught(name: str) -> None:
    """If the scenario has become another with the production code, a few seeds are tried."""
    catch = hunt(BY_NAME[name], attempts_max=5)
    assert catch.invariant, f"{name} survived"


@pytest.mark.parametrize("name", BY_NAME)
def test_mutant_names_a_scenario(name: str) -> None:
    """The seeds of the swarm mean something else after each change."""
    assert BY_NAME[name].scenario in SCENARIOS


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(MUTANTS)
