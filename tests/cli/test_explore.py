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


def test_wrong_usage() -> None:
    for arguments in (["--nodes", "0"], ["--mutant", "nothing"], ["--replay", "/nowhere"]):
        answer = explore(*arguments)
        assert answer.exit_code == 2, answer.output
