"""What seldom meets, under other seeds."""

import pytest

from raftwerk.sim.scenarios import meetings
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

MEETINGS = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == meetings.__name__
]


@pytest.mark.parametrize("scenario", MEETINGS, ids=lambda scenario: scenario.name)
def test_meeting_under_other_seeds(scenario: Scenario) -> None:
    for seed in range(2, 5):
        failure = perform(scenario, seed)
        assert failure is None, str(failure)
