"""Releases side by side, under other seeds."""

import pytest

from raftwerk.sim.scenarios import releases
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

RELEASES = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == releases.__name__
]


@pytest.mark.parametrize("scenario", RELEASES, ids=lambda scenario: scenario.name)
def test_releases_under_another_seed(scenario: Scenario) -> None:
    failure = perform(scenario, seed=2)
    assert failure is None, str(failure)
