"""What the shell is told when Tab is pressed."""

import pytest
from typer.testing import CliRunner

from raftwerk.cli.flags import FLAGS
from raftwerk.cli.main import app


def completed(line: str) -> list[str]:
    """As bash asks for it."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
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
