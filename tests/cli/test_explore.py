"""`raftwerk explore`."""

from pathlib import Path

from typer.testing import CliRunner, Result

from raftwerk.cli.main import app


def explore(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explore", *arguments])


def test_small_bounds_are_covered_completely() -> None:
    answer = explore("--instant-disk")
    assert answer.exit_code == 0, answer.output
    assert "2261 states" in answer.output
    assert "Complete" in answer.output


def test_not_all_is_covered_when_states_are_limited() -> None:
    answer = explore("--terms", "2", "--states", "2000")
    assert answer.exit_code == 1
    assert "Not complete. Everything that" in answer.output


def test_a_mutant_is_found_kept_and_replayed(tmp_path: Path) -> None:
    kept, trace = tmp_path / "kept.json", tmp_path / "trace.jsonl"
    answer = explore("--mutant", "minority-is-enough", "--write", str(kept), "--trace", str(trace))
    assert answer.exit_code == 1
    assert "Elected by a majority is broken after 2 steps" in answer.output
    assert '"event": "start"' in trace.read_text()
    again = explore("--replay", str(kept))
    assert again.exit_code == 1
    assert "Elected by a majority: node 1 leads" in again.output
    kept.write_text(kept.read_text().replace("minority-is-enough", ""))
    healed = explore("--replay", str(kept))
    assert (healed.exit_code, "Every property holds." in healed.output) == (0, True)


def test_wrong_usage(tmp_path: Path) -> None:
    refusals = {
        "--nodes 0": "0 nodes",
        "--mutant nothing": "there is no mutant 'nothing'",
        "--mutant vote-not-persistet": "did you mean vote-not-persisted or",
        "--replay /nowhere": "No such file",
        "--states 0": "--states",
        "--replay x --nodes 3": "--nodes does not go with --replay, which takes --trace",
        "--replay x --write y": "--write does not go with --replay",
        "--instant-disk --trace /nowhere/x": "--trace /nowhere/x cannot be written",
        f"--write {tmp_path}": f"--write {tmp_path} cannot be written: Is a directory",
    }
    for arguments, words in refusals.items():
        answer = explore(*arguments.split())
        output = " ".join(answer.output.split())
        assert (answer.exit_code, words in output) == (2, True), answer.output
        assert "level" not in output
