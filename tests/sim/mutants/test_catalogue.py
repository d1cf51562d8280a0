"""Every mutant is caught, by its scenario or at its known seed: the checks would notice these defects."""

import pytest

from raftwerk.sim.campaign import hunt
from raftwerk.sim.mutants.catalogue import BY_NAME, MUTANTS


@pytest.mark.parametrize("name", BY_NAME)
def test_mutant_is_caught(name: str) -> None:
    """If the production code has changed so much that the known seed goes by, a few others are tried."""
    catch = hunt(BY_NAME[name], attempts_max=5)
    assert catch.invariant, f"{name} survived; look for a seed: raftwerk sim --mutant {name}"


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(MUTANTS)
