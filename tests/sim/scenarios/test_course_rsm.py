"""The replicated state machine of the course, under other seeds."""

import pytest

from raftwerk.sim.scenarios import course_rsm
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

RSM = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == course_rsm.__name__
]


@pytest.mark.parametrize("scenario", RSM, ids=lambda scenario: scenario.name)
def test_scenario_under_other_seeds(scenario: Scenario) -> None:
    for seed in (2, 3, 4):
        failure = perform(scenario, seed)
        assert failure is None, str(failure)
