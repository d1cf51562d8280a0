"""What a disk holds when a node starts again, under other seeds."""

import pytest

from raftwerk.sim.scenarios import disks
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

DISKS = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == disks.__name__
]


@pytest.mark.parametrize("scenario", DISKS, ids=lambda scenario: scenario.name)
def test_start_from_such_a_disk_under_another_seed(scenario: Scenario) -> None:
    failure = perform(scenario, seed=2)
    assert failure is None, str(failure)
