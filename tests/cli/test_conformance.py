"""`raftwerk conformance`: the table, the exit codes, which cases are run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raftwerk.cli.conformance import chosen
from raftwerk.cli.main import app
from raftwerk.errors import UsageError
from tests.conftest import running_cluster

CASES = ["--case=keys/put*", "--case=*/compact"]


def test_cases_are_chosen_by_name() -> None:
    names = [case.name for case in chosen(["keys/compact*", "*/observe"])]
    assert names == ["keys/compact_refused", "keys/compact", "contests/observe"]
    with pytest.raises(UsageError, match="no case is called nonsense; areas: keys, txns"):
        chosen(["nonsense"])


def test_table_tells_what_passed_and_what_was_left_out(live_endpoint: str) -> None:
    done = CliRunner().invoke(app, ["conformance", f"--endpoints={live_endpoint}", *CASES])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    (line,) = (line for line in lines if "keys/put_prev_kv " in line)
    assert "passed" in line
    (line,) = (line for line in lines if "keys/compact " in line)
    assert "left out" in line
    assert "needs disturbing" in line
    assert lines[-1].endswith(" passed, 1 left out")


def test_disturbing_cases_pass_on_our_own_server(tmp_path: Path) -> None:
    """With --json, a line for each case. They need one without users, for themselves."""
    with running_cluster(tmp_path, 1) as cluster:
        endpoint = f"--endpoints={cluster.members[0].client_url}"
        arguments = ["conformance", endpoint, "--disturb", "--auth", "--json"]
        chosen = ["--case=cluster/*", "--case=http/*", "--case=auth/roles"]
        done = CliRunner().invoke(app, [*arguments, *chosen])
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in outcomes if one["outcome"] != "passed"] == []
    assert outcomes[0]["case"] == "cluster/status"
    assert done.exit_code == 0


def test_cases_ask_as_nobody() -> None:
    result = CliRunner().invoke(app, ["conformance", "--user=ada:x"])
    assert result.exit_code == 2
    assert "the cases ask as nobody" in result.output


def test_server_that_cannot_be_asked_is_exit_code_2() -> None:
    done = CliRunner().invoke(app, ["conformance", "--endpoints=127.0.0.1:1", *CASES])
    assert done.exit_code == 2
    assert "Connection refused" in done.stderr
