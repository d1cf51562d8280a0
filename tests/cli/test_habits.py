"""Habits of etcdctl: a refusal tells how it is said here."""

from pathlib import Path

import pytest
from typer.main import get_command

from raftwerk.cli.habits import COMMANDS, OPTIONS, OPTIONS_OF, SHORT, hints
from raftwerk.cli.main import PLACES, app
from tests.cli.commands import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("endpoint status", ["raftwerk: 'raftwerk status' asks all --endpoints"]),
        ("help", ["raftwerk: it is 'raftwerk --help'"]),
        ("delete x", ["raftwerk: it is 'raftwerk del'"]),
        ("make-mirror x", ["raftwerk: 'etcdctl make-mirror' copies keys"]),
        ("get a -w json", ["raftwerk: -w: --json is for machines"]),
        ("get a --write-out=json", ["raftwerk: --write-out: --json is for machines"]),
        ("get a --consistency=s --hex", ["raftwerk: --consistency: ", "raftwerk: --hex: "]),
        ("txn -i", ["raftwerk: -i: 'raftwerk txn' reads its standard input"]),
        ("txn --interactive=true", ["raftwerk: --interactive: 'raftwerk txn' reads"]),
        ("member add foo --peer-urls http://h:1", ["raftwerk: --peer-urls: the peer URLs stand"]),
        ("member update 1 --peer-urls=http://h:1", ["raftwerk: --peer-urls: the peer URLs stand"]),
        ("watch x -- echo hi", ["raftwerk: --: no command is run for each event"]),
        (
            "put k -5 --json",
            ["raftwerk: -5: a key or a value that begins with a dash stands behind '--'"],
        ),
        ("get -x=1", ["raftwerk: -x: a key or a value"]),
        ("--endpoints 127.0.0.1:1 get a", ["raftwerk: options stand behind the command"]),
    ],
)
def test_habit_is_answered_after_the_refusal(
    tmp_path: Path, arguments: str, told: list[str]
) -> None:
    answer = run(*arguments.split(), folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    lines = answer.stderr.splitlines()[-len(told) :]
    assert [line.startswith(hint) for line, hint in zip(lines, told, strict=True)] == [True] * len(
        told
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["lock", "check", "--ttl", "x", "--user", "--hex"],
        ["get", "a", "--endpoints", "127.0.0.1:1", "--user", "--hex"],
        ["get", "a", "b", "--prefix", "--user", "--hex"],
    ],
    ids=["a value that cannot be", "nobody there", "options that do not go together"],
)
def test_what_fails_for_another_reason_gets_no_hint(tmp_path: Path, arguments: list[str]) -> None:
    """However much one of its words looks like a habit."""
    answer = run(*arguments, folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr
    assert OPTIONS["--hex"] not in answer.stderr


@pytest.mark.parametrize(
    "arguments",
    ["get a", "--help", "--version", "get -- -w", "put a --write", "elect e -l", "put -- k -5"],
    ids=str,
)
def test_what_is_no_habit_gets_no_hint(arguments: str) -> None:
    assert not list(hints(arguments.split()))


def test_hints_are_of_what_there_is_not() -> None:
    assert not COMMANDS.keys() & {*PLACES, *get_command(app).commands}  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", sorted(PLACES))
def test_no_command_has_an_option_that_is_hinted_at(command: str) -> None:
    group = get_command(app)
    found = group.commands[command]  # type: ignore[attr-defined]
    parts = [found, *getattr(found, "commands", {}).values()]
    options = {name for part in parts for param in part.params for name in param.opts}
    assert not OPTIONS.keys() & options


def test_options_of_one_dash_are_known() -> None:
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    parts = [
        part for found in commands for part in (found, *getattr(found, "commands", {}).values())
    ]
    options = {name for part in parts for param in part.params for name in param.opts}
    assert {name for name in options if not name.startswith("--") and name.startswith("-")} | {
        "-h"
    } == SHORT


@pytest.mark.parametrize("command", sorted(OPTIONS_OF))
def test_no_command_has_an_option_of_its_own_that_is_hinted_at(command: str) -> None:
    found = get_command(app)
    for name in command.split():
        found = found.commands[name]  # type: ignore[attr-defined]
    options = {name for param in found.params for name in param.opts}
    assert not OPTIONS_OF[command].keys() & options
