"""`raftwerk sim`."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from raftwerk.cli.main import app
from raftwerk.cli.sim import make_smaller, tell
from raftwerk.sim.campaign import Summary
from raftwerk.sim.coverage import EXPECTED
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied
from raftwerk.sim.run import Failure, plan
from raftwerk.sim.shrink import Smaller


def sim(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sim", *arguments])


def test_one_seed_tells_what_it_is_and_writes_its_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    answer = sim("--seed", "1", "--trace", str(trace))
    assert answer.exit_code == 0, answer.output
    _, told, verdict = answer.output.splitlines()
    assert told.startswith("seed 1: ")
    assert verdict == "Every property held."
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert {"time_us", "node", "event"} <= lines[0].keys()


def test_one_seed_tells_all_that_it_has_drawn_if_that_is_asked_for() -> None:
    answer = sim("--seed", "1", "--plan")
    options, faults = plan(1)
    assert f"request_timeout_ms={options.request_timeout_ms}" in answer.output
    assert [line for line in answer.output.splitlines() if " ms  " in line] == [
        f"  {fault.at_ms:6} ms  {fault.kind}" for fault in faults
    ]
    assert answer.output.endswith("Every property held.\n")


def test_several_seeds_end_in_a_summary() -> None:
    answer = sim("--runs", "3", "--jobs", "1")
    assert answer.exit_code == 0, answer.output
    assert "3 runs" in answer.output
    assert "Marks that these few runs did not meet: " in answer.output


def test_scenarios_by_name() -> None:
    assert "ReElection" in sim("--scenario", "list").output
    answer = sim("--scenario", "InitialElection")
    assert (answer.exit_code, answer.output) == (0, "ok  InitialElection\n")


def test_a_mutant_is_hunted() -> None:
    answer = sim("--mutant", "reply-before-durable", "--jobs", "1")
    assert answer.exit_code == 0, answer.output
    assert "Durability" in answer.output


def test_story_of_a_mutant_in_its_scenario(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    scenario = ("--scenario", "AFormerLeaderIsHeardLate", "--trace", str(trace))
    answer = sim("--mutant", "append-of-an-older-term", *scenario)
    assert answer.exit_code == 1
    assert "broken  AFormerLeaderIsHeardLate" in answer.output
    again = "--scenario AFormerLeaderIsHeardLate --mutant append-of-an-older-term --seed 1 --trace"
    assert f"\nagain: raftwerk sim {again} trace.jsonl\n" in answer.output
    assert trace.stat().st_size
    assert sim(*scenario).exit_code == 0, "the defect is gone with the command"


def test_mutants_are_listed() -> None:
    answer = sim("--mutant", "list")
    assert answer.exit_code == 0
    assert "vote-not-persisted  in raft.request_vote:receive, caught by AVoter" in answer.output


REFUSALS = {
    "--scenario Bakcup": "did you mean Backup?",
    "--mutant vote-not-persistet": "did you mean vote-not-persisted or",
    "--runs 3 --scenario Backup": "--runs does not go with --scenario, which takes --seed and --trace",
    "--runs 3 --plan": "--plan does not go with a run of many seeds",
    "--mutants --seed 4": "--seed does not go with --mutants, which takes --jobs",
    "--seed 1 --jobs 2": "--jobs does not go with --seed, which takes --trace",
    "--trace t.jsonl": "--trace does not go with a run of many seeds",
    "--scenario all --trace t.jsonl": "--trace is of one run",
    "--mutant list --seed 4": "--mutant list only prints what there is: nothing else goes with it",
    "--scenario list --mutant term-not-persisted": "--scenario list only prints what there is",
    "--scenario Backup --mutant list": "--mutant list only prints what there is",
    "--seed 1 --trace /nowhere/t.jsonl": "--trace /nowhere/t.jsonl cannot be written: No such file",
    "--runs 0": "--runs",
    "--jobs -1": "--jobs",
    "--jobs 100000": "--jobs",
    "--seed -1": "--seed",
    "--minutes 0": "--minutes 0.0: must be more than 0",
    "--minutes nan": "--minutes nan: must be more than 0",
}


@pytest.mark.parametrize("arguments", REFUSALS)
def test_what_cannot_be_is_refused_before_anything_runs(arguments: str) -> None:
    answer = sim(*arguments.split())
    assert answer.exit_code == 2, answer.output
    assert REFUSALS[arguments] in " ".join(answer.output.split())
    assert "virtual time" not in answer.output


def test_seed_0_is_a_seed() -> None:
    with applied(BY_NAME["stale-vote-counted"]):
        answer = sim("--scenario", "AVoteMeetsALaterCandidacy", "--seed", "0")
    assert answer.exit_code == 1
    assert "--scenario AVoteMeetsALaterCandidacy --seed 0" in answer.output


def test_a_failure_is_made_smaller_in_sight() -> None:
    seed = BY_NAME["term-not-persisted"].seed
    answer = sim("--seed", str(seed), "--mutant", "term-not-persisted")
    assert answer.exit_code == 1
    *before, broken, again = answer.output.splitlines()
    assert again in before, "with the story"
    assert again == (
        f"again: raftwerk sim --mutant term-not-persisted --seed {seed} --trace trace.jsonl"
    )
    assert re.fullmatch(rf"A property broke: seed {seed}, step \d+: \w+", broken)
    assert "making the failure smaller, with 120 runs at most" in answer.output
    assert "this is enough to break it" in answer.output


def test_an_interrupted_search_ends_with_the_smallest_failure_so_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options, faults = plan(1)

    def search(seed: int, on_attempt: Callable[[Smaller], None]) -> None:
        for left in (3, 2):
            failure = Failure(seed, 1, "Durability", "", [])
            on_attempt(Smaller(options, faults[:left], failure, 10 - left))
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        make_smaller(1, search)
    assert ended.value.exit_code == 130
    output = capsys.readouterr().out
    assert "after 8 attempts, this is enough to break it" in output
    assert output.count("Fault(at_ms") == 2


@pytest.mark.parametrize(
    ("runs", "missing", "word", "is_well"),
    [
        (1, True, "Every property held in every run.", True),
        (1_000, False, "Every property held in every run.", True),
        (1_000, True, "Failed: every property held, but 1 marks were never visited", False),
    ],
)
def test_a_long_campaign_that_missed_something_says_that_it_failed(
    runs: int, missing: bool, word: str, is_well: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    visited = Counter(EXPECTED[missing:])
    assert tell(Summary(runs=runs, coverage=visited)) is is_well
    output = " ".join(capsys.readouterr().out.split())
    assert word in output
    assert output.count("Every property held") == is_well
