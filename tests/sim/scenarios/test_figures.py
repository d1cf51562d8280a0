"""The paper's pictures under other seeds."""

import pytest

from raftwerk.sim.scenarios import figures
from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.scenario import Scenario, perform

PICTURES = [
    scenario
    for scenario in SCENARIOS.values()
    if getattr(scenario.play, "__module__", "") == figures.__name__
]


@pytest.mark.parametrize("scenario", PICTURES, ids=lambda scenario: scenario.name)
def test_picture_under_other_seeds(scenario: Scenario) -> None:
    for seed in range(2, 7):
        failure = perform(scenario, seed)
        assert failure is None, str(failure)


def test_logs_of_figure_7_are_as_printed() -> None:
    assert len(figures.FIGURE_7) == 7
    assert figures.FIGURE_7[7] == "1 1 1 2 2 2 3 3 3 3 3"
