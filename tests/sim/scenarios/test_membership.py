"""Configurations in the log, under other seeds."""

import pytest

from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import perform


@pytest.mark.parametrize("name", ["ConfigurationInForceOnAppend", "ConfigurationRolledBack"])
def test_under_other_seeds(name: str) -> None:
    for seed in range(2, 5):
        failure = perform(SCENARIOS[name], seed)
        assert failure is None, str(failure)
