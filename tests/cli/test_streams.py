"""What becomes of an answer that nobody can read, and of a word that nobody hears."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PRELUDE = """
import sys
from raftwerk.cli.streams import standard_streams
with standard_streams():
"""
RICH = "    from rich.console import Console\n    Console().print('an answer')\n    sys.exit(1)"
CAUGHT = """
    try:
        print('an answer', flush=True)
    except Exception:
        pass
    sys.exit(1)
"""
REMARK = "    print('a word', file=sys.stderr, flush=True)\n    sys.exit(7)"


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    gone, pipe = os.pipe()
    os.close(gone)
    yield pipe
    os.close(pipe)


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "raftwerk", "version"],
        ["-u", "-m", "raftwerk", "--help"],
        ["-m", "raftwerk", "serve", "--version"],
        ["-c", PRELUDE + RICH],
        ["-c", PRELUDE + CAUGHT],
    ],
    ids=["print", "typer", "serve", "rich", "caught"],
)
def test_reader_that_has_gone_away(nobody: int, command: list[str]) -> None:
    """Whoever prints, and however: the end is quiet, and as of any command of a pipe."""
    done = subprocess.run(
        [sys.executable, *command], stdout=nobody, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "raftwerk", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "raftwerk: the answer cannot be printed: No space left on device\n"
    assert (done.returncode, done.stderr) == (4, said)


def test_stream_that_is_closed_from_the_beginning(tmp_path: Path) -> None:
    """It is told once, whoever wanted to print or to read; no socket has got its number meanwhile."""
    command = f"exec {sys.executable} -m raftwerk"
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"--endpoints=127.0.0.1:{server.getsockname()[1]}"
        for closing, code, said in (
            ("version >&-", 4, "raftwerk: the answer cannot be printed: standard output is closed"),
            (f"user add ada {there} <&-", 2, "raftwerk: the password is asked for on a terminal"),
            ("txn <&-", 2, "standard input is closed"),
        ):
            done = subprocess.run(
                ["sh", "-c", f"{command} {closing}"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == code
            assert said in done.stderr
            assert "Traceback" not in done.stderr


def test_words_that_nobody_hears_are_lost_and_change_nothing(nobody: int) -> None:
    """A member whose log has no reader any more goes on, and can be stopped."""
    done = subprocess.run([sys.executable, "-c", PRELUDE + REMARK], stderr=nobody, check=False)
    assert done.returncode == 7


def test_names_that_are_no_text_come_out_as_they_were_typed() -> None:
    script = PRELUDE + "    print('\\udcff')"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert printed.stdout == b"\xff\n"
