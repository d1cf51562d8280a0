"""`raftwerk sim`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raftwerk.cli.main import app


def sim(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sim", *arguments])


def test_one_seed_tells_what_it_is_and_writes_its_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    answer = sim("--seed", "1", "--trace", str(trace))
    assert answer.exit_code == 0, answer.output
    assert "Every property held." in answer.output
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert {"time_us", "node", "event"} <= lines[0].keys()


def test_several_seeds_end_in_a_summary() -> None:
    answer = sim("--runs", "3", "--jobs", "1")
    assert answer.exit_code == 0, answer.output
    assert "3 runs" in answer.output
    assert "never visited" in answer.output


def test_scenarios_by_name() -> None:
    assert "ReElection" in sim("--scenario", "list").output
    answer = sim("--scenario", "InitialElection")
    assert (answer.exit_code, answer.output) == (0, "ok  InitialElection\n")


def test_a_mutant_is_hunted() -> None:
    answer = sim("--mutant", "reply-before-durable", "--jobs", "1")
    assert answer.exit_code == 0, answer.output
    assert "Durability" in answer.output


@pytest.mark.parametrize("option", ["--scenario", "--mutant"])
def test_unknown_name_is_wrong_usage(option: str) -> None:
    answer = sim(option, "nothing")
    assert answer.exit_code == 2
    assert "there is no" in answer.output
