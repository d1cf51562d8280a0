"""The command itself: what it is called, and when it refuses to run."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raftwerk import __version__
from raftwerk.cli.main import app
from tests.cli.commands import at_terminal, run


@pytest.mark.parametrize("arguments", [["--version"], ["version"]], ids=" ".join)
def test_version(arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, arguments)
    assert (answer.exit_code, answer.stdout) == (0, f"raftwerk {__version__}\n")


def test_module_is_the_command(tmp_path: Path) -> None:
    answer = run("--version", folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, f"raftwerk {__version__}\n")


@pytest.mark.parametrize("command", [[], ["get"], ["lease", "grant"]], ids=" ".join)
def test_short_form_of_help(command: list[str]) -> None:
    long, short = (CliRunner().invoke(app, [*command, form]) for form in ("--help", "-h"))
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Usage: " in short.stdout


def test_help_lists_the_commands() -> None:
    answer = CliRunner().invoke(app, ["--help"])
    assert answer.exit_code == 0
    commands = ("serve", "dev", "demo", "inspect", "put", "get", "del", "status", "members")
    assert [command for command in commands if command not in answer.stdout] == []


def test_a_command_loads_what_it_needs() -> None:
    """All commands together take four times as long to load: a server needs no simulator, an inspection no client."""
    code = "import sys\nfrom raftwerk.cli.main import app\n"
    loads = "app(['status', '--help'], standalone_mode=False)\nprint([*sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + loads], capture_output=True, text=True, check=True
    )
    assert "'raftwerk.client'" in done.stdout
    assert [
        name for name in ("sim", "server", "conformance") if f"raftwerk.{name}" in done.stdout
    ] == []


def test_no_command_is_wrong_usage_and_shows_the_help() -> None:
    answer = CliRunner().invoke(app, [])
    assert answer.exit_code == 2
    assert "Usage: " in answer.output


def test_unknown_command_is_wrong_usage() -> None:
    answer = CliRunner().invoke(app, ["sevre"])
    assert answer.exit_code == 2
    assert "sevre" in answer.output


@pytest.mark.parametrize(
    ("command", "python", "environment"),
    [
        ("serve", ["-O"], {}),
        ("dev", ["-OO"], {}),
        ("serve", [], {"PYTHONOPTIMIZE": "1"}),
    ],
    ids=["-O", "-OO", "PYTHONOPTIMIZE"],
)
def test_it_refuses_to_run_without_assertions(
    tmp_path: Path, command: str, python: list[str], environment: dict[str, str]
) -> None:
    """They are a part of the safety net."""
    answer = run(command, folder=tmp_path, python=python, **environment)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("raftwerk: refuses to run without assertions")
    assert list(tmp_path.iterdir()) == []


def test_end_of_the_input_where_something_is_asked_for(tmp_path: Path) -> None:
    arguments = (sys.executable, "-m", "raftwerk", "user", "add", "ada")
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"--endpoints=127.0.0.1:{server.getsockname()[1]}"
        with at_terminal(*arguments, there, folder=tmp_path) as terminal:
            terminal.wait_for("Password of the user: ")
            terminal.type("\x04")
            code, said = terminal.wait()
    assert (code, said.strip()) == (2, "raftwerk: the input ended before the answer")


def test_help_tells_the_exit_codes() -> None:
    answer = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "1000"})
    for told in ("1 the answer is no", "2 an error", "3 a write whose outcome is unknown", "141"):
        assert told in answer.stdout
