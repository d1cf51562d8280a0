"""`raftwerk bench`: what it prints, and its exit codes."""

import json
import socket

import pytest
from typer.testing import CliRunner

from raftwerk.cli.main import app

SMALL = ["--connections=2", "--clients=4", "--requests=50"]


def test_table_of_a_load(live_endpoint: str) -> None:
    answer = CliRunner().invoke(app, ["bench", "put", *SMALL, f"--endpoints={live_endpoint}"])
    assert answer.exit_code == 0, answer.output
    assert "p99.9 ms" in answer.output
    assert " 50 " in answer.output


def test_json_of_a_load(live_endpoint: str) -> None:
    arguments = ["bench", "range", *SMALL, "--json", f"--endpoints={live_endpoint}"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    figures = json.loads(answer.output)
    assert (figures["requests"], figures["errors"]) == (50, {})


def test_failed_requests_are_exit_code_1(severed: str) -> None:
    answer = CliRunner().invoke(app, ["bench", "put", *SMALL, f"--endpoints={severed}"])
    assert answer.exit_code == 1, answer.output
    assert "4 with status 14" in answer.output


def test_nobody_there_is_exit_code_2() -> None:
    answer = CliRunner().invoke(app, ["bench", "put", "--endpoints=127.0.0.1:1"])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "127.0.0.1" in answer.stderr


def test_load_that_is_none_is_exit_code_2(live_endpoint: str) -> None:
    more = ["--clients=3", "--connections=4", f"--endpoints={live_endpoint}"]
    answer = CliRunner().invoke(app, ["bench", "put", *more])
    assert answer.exit_code == 2
    assert answer.stderr.endswith(
        "one client for each: not --processes 1, --connections 4, --clients 3\n"
    )


def test_connections_follow_fewer_clients(live_endpoint: str) -> None:
    more = ["--clients=3", "--requests=7", f"--endpoints={live_endpoint}", "--json"]
    answer = CliRunner().invoke(app, ["bench", "put", *more])
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert json.loads(answer.stdout)["requests"] == 7


def test_table_of_a_watch(live_endpoint: str) -> None:
    arguments = ["bench", "watch", *SMALL, "--keys=3", "--watchers=7"]
    answer = CliRunner().invoke(app, [*arguments, f"--endpoints={live_endpoint}"])
    assert answer.exit_code == 0, answer.output
    assert "delay p99 ms" in answer.output
    assert " 350 " in answer.output


def test_no_endpoint_is_exit_code_2() -> None:
    answer = CliRunner().invoke(app, ["bench", "put", *SMALL, "--endpoints="])
    assert (answer.exit_code, answer.stderr) == (2, "raftwerk: at least one endpoint is needed\n")


@pytest.mark.parametrize("operation", ["put", "watch"])
def test_answers_that_do_not_come_in_time_are_exit_code_2(operation: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"--endpoints=127.0.0.1:{server.getsockname()[1]}"
        short = ["--connections=1", "--clients=1", "--seconds=0.01", "--command-timeout=20ms"]
        answer = CliRunner().invoke(app, ["bench", operation, *short, there])
    assert (answer.exit_code, answer.stderr) == (2, "raftwerk: no answer\n")


def test_time_that_is_none_is_exit_code_2() -> None:
    answer = CliRunner().invoke(app, ["bench", "put", "--command-timeout=soon"])
    assert (answer.exit_code, "'soon' is not a duration" in answer.stderr) == (2, True)
