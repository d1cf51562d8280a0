"""Each of these mutants finds its place in the code; test_catalogue.py sees them caught."""

import pytest

from raftwerk.sim.mutants.key_value import KEY_VALUE
from raftwerk.sim.mutants.mutant import Mutant, applied, function_of


@pytest.mark.parametrize("mutant", KEY_VALUE, ids=lambda mutant: mutant.name)
def test_mutant_changes_its_function_and_gives_it_back(mutant: Mutant) -> None:
    function = function_of(mutant)
    code = function.__code__
    with applied(mutant):
        assert function.__code__ is not code
    assert function.__code__ is code
