"""Every mutant is caught, mostly at its known seed or scenario: the checks would notice these defects."""

import pytest

from raftwerk.sim.campaign import hunt
from raftwerk.sim.mutants.catalogue import BY_NAME, MUTANTS


@pytest.mark.parametrize("name", BY_NAME)
def test_mutant_is_caught(name: str) -> None:
    """If the production code has changed so much that the known seed goes by, others are tried."""
    catch = hunt(BY_NAME[name], attempts_max=60)
    assert catch.invariant, f"{name} survived"


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(MUTANTS)
