"""docs/simulation.md: what it shows is what runs."""

from pathlib import Path

import pytest

from raftwerk.sim.run import run
from tests.documents import python_in

MACHINE, EXECUTOR = python_in("simulation.md")


def test_the_machine_of_ones_own_is_the_test_that_runs() -> None:
    assert (Path(__file__).parent / "test_own_machine.py").read_text() == MACHINE


def test_a_campaign_on_an_executor_of_threads(capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXECUTOR, {})
    operations = sum(run(seed).operations for seed in range(1, 3))
    assert capsys.readouterr().out == f"2 runs, {operations} operations\n"
