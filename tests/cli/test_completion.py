"""What the shell is told when Tab is pressed."""

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raftwerk import __version__
from raftwerk.cli.flags import FLAGS
from raftwerk.cli.main import app
from tests.cli.commands import at_terminal


def completed(line: str) -> list[str]:
    """As bash asks for it, which takes = for a word."""
    words = re.findall("=|[^ =]+", line) + [""] * line.endswith(" ")
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    answer = CliRunner().invoke(
        app, [], prog_name="raftwerk", env=asked | {"_RAFTWERK_COMPLETE": "complete_bash"}
    )
    return answer.stdout.split()


def test_every_flag_of_serve() -> None:
    assert completed("raftwerk serve --") == [f"--{flag.name}" for flag in FLAGS]
    assert completed("raftwerk serve --auto-tls --log-f") == ["--log-format"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("raftwerk serve --log-level ", ["debug", "info", "warn", "error", "panic", "fatal"]),
        ("raftwerk serve --name a --log-level=d", ["debug"]),
        ("raftwerk serve --name ", []),
        (
            "raftwerk serve --log-level=d --tls-min-version=TLS1.3 --auto-compaction-mode=",
            ["periodic", "revision"],
        ),
        ("raftwerk get key --sort-by=ver", ["version"]),
        (
            "raftwerk get --endpoints=a,b --sort-by=",
            ["key", "version", "create", "modify", "value"],
        ),
        ("raftwerk get --sort-by v", ["version", "value"]),
        ("raftwerk bench m", ["mixed"]),
        ("raftwerk sim --scenario ReE", ["ReElection"]),
        ("raftwerk sim --mutant vote-not", ["vote-not-persisted"]),
        ("raftwerk explore --mutant vote-not", ["vote-not-persisted"]),
        ("raftwerk role grant-permission reader ", ["read", "write", "readwrite"]),
        ("raftwerk conformance --case keys/put_new", ["keys/put_new"]),
        ("raftwerk member p", ["promote"]),
    ],
)
def test_value_of_a_fixed_choice(line: str, values: list[str]) -> None:
    """Where there is none, the shell completes names of files."""
    assert completed(line) == values


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("raftwerk get key --sort-by=ver", ["--sort-by=version"]),
        ("raftwerk get key --sort-by ver", ["version"]),
        ("raftwerk get key --sort-b", ["--sort-by"]),
        (
            "raftwerk serve --name=a --auto-compaction-mode=",
            ["--auto-compaction-mode=periodic", "--auto-compaction-mode=revision"],
        ),
    ],
)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_value_behind_the_sign_in_shells_that_take_it_for_one_word_with_the_flag(
    shell: str, line: str, values: list[str]
) -> None:
    asked = {"_RAFTWERK_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    told = CliRunner().invoke(app, [], prog_name="raftwerk", env=asked).stdout
    if shell == "zsh":
        found = [value for value, _ in re.findall('"([^"]*)"(:"[^"]*")?', told)]
    else:
        found = [one.split("\t")[0] for one in told.splitlines()]
    assert found == values


@pytest.mark.parametrize("others", [{}, {"COMP_CWORD": ""}])
def test_words_in_the_environment_that_are_not_of_bash_are_no_question(
    others: dict[str, str],
) -> None:
    environment = {"COMP_WORDS": "x", "COMP_CWORD": None} | others
    answer = CliRunner().invoke(app, ["--version"], prog_name="raftwerk", env=environment)
    assert (answer.exit_code, answer.stdout) == (0, f"raftwerk {__version__}\n")


def test_value_behind_the_sign_in_bash_itself(tmp_path: Path) -> None:
    """There the sign ends a word, and what is completed is what stands behind it."""
    command = tmp_path / "raftwerk"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m raftwerk "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    with at_terminal("bash", "--norc", "--noprofile", folder=tmp_path, PATH=path) as terminal:
        terminal.type('eval "$(_RAFTWERK_COMPLETE=source_bash raftwerk)" && echo com""plete\n')
        terminal.wait_for("complete\r\n")
        terminal.type("raftwerk get key --sort-by=ver\t")
        assert terminal.wait_for("version ").endswith("raftwerk get key --sort-by=version ")
