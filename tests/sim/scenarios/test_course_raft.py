"""The course's scenarios under other seeds: chance decides who leads and what is lost."""

import pytest

from raftwerk.sim.scenarios import course_raft
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

QUICK = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == course_raft.__name__
    and scenario.name not in ("Figure8", "Figure8Unreliable", "ReliableChurn", "UnreliableChurn")
]


@pytest.mark.parametrize("scenario", QUICK, ids=lambda scenario: scenario.name)
def test_scenario_under_other_seeds(scenario: Scenario) -> None:
    for seed in (2, 3, 4):
        failure = perform(scenario, seed)
        assert failure is None, str(failure)
