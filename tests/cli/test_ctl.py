"""Commands for people, against a running member: what they print, and with which exit code they end."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from raftwerk.api.rpc_pb2 import ResponseHeader, StatusResponse
from raftwerk.cli.ctl import _status_row
from raftwerk.cli.main import app
from tests.cli.commands import run
from tests.conftest import running_cluster
from tests.waiting import until

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a single node."""
    with running_cluster(tmp_path_factory.mktemp("ctl"), 1) as cluster:
        yield f"127.0.0.1:{cluster.members[0].client_port}"


def raftwerk(*arguments: str, endpoint: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, [*arguments, f"--endpoints={endpoint}"], input=stdin)


def output_of(*arguments: str, endpoint: str, stdin: bytes = b"") -> str:
    """Of a command that succeeds without complaint."""
    answer = raftwerk(*arguments, endpoint=endpoint, stdin=stdin)
    assert (answer.exit_code, answer.stderr) == (0, "")
    return answer.stdout


def json_of(*arguments: str, endpoint: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(output_of(*arguments, "--json", endpoint=endpoint))
    return found


# put, get, del


def test_put_tells_the_revision_and_get_prints_the_value(endpoint: str) -> None:
    first = output_of("put", "a", "one", endpoint=endpoint)
    second = output_of("put", "a", "two", endpoint=endpoint)
    assert first.startswith("OK, revision ")
    assert int(second.split()[-1]) == int(first.split()[-1]) + 1
    assert output_of("get", "a", endpoint=endpoint) == "two\n"


def test_get_of_an_old_revision(endpoint: str) -> None:
    revision = output_of("put", "old", "one", endpoint=endpoint).split()[-1]
    output_of("put", "old", "two", endpoint=endpoint)
    assert output_of("get", "old", "--rev", revision, endpoint=endpoint) == "one\n"


def test_get_of_a_missing_key_prints_nothing_and_is_1(endpoint: str) -> None:
    answer = raftwerk("get", "missing", endpoint=endpoint)
    assert (answer.exit_code, answer.output) == (1, "")


def test_get_of_an_empty_value_is_not_a_missing_key(endpoint: str) -> None:
    output_of("put", "empty", "", endpoint=endpoint)
    assert output_of("get", "empty", endpoint=endpoint) == "\n"


def test_value_from_standard_input(endpoint: str) -> None:
    output_of("put", "stdin", "-", endpoint=endpoint, stdin=b"two\nlines")
    assert output_of("get", "stdin", endpoint=endpoint) == "two\nlines\n"


def test_value_that_is_no_text_is_printed_in_base64(endpoint: str) -> None:
    output_of("put", "binary", "-", endpoint=endpoint, stdin=b"\xff\x00\xfe")
    assert output_of("get", "binary", endpoint=endpoint) == "base64:/wD+\n"
    raw = raftwerk("get", "binary", "--print-value-only", endpoint=endpoint)
    assert raw.stdout_bytes == b"\xff\x00\xfe\n"


def test_key_that_is_no_text_arrives_as_it_was_typed(endpoint: str) -> None:
    key = os.fsdecode(b"key\xff")
    output_of("put", key, "value", endpoint=endpoint)
    assert output_of("get", key, endpoint=endpoint) == "value\n"


def test_get_of_a_prefix(endpoint: str) -> None:
    for key in ("dir/a", "dir/b", "dir/c", "dis"):
        output_of("put", key, f"value of {key}", endpoint=endpoint)
    both = output_of("get", "dir/", "--prefix", endpoint=endpoint)
    assert both == "dir/a\nvalue of dir/a\ndir/b\nvalue of dir/b\ndir/c\nvalue of dir/c\n"
    keys = output_of("get", "dir/", "--prefix", "--keys-only", "--limit=2", endpoint=endpoint)
    assert keys == "dir/a\ndir/b\n"
    assert output_of("get", "dir/", "--prefix", "--count-only", endpoint=endpoint) == "3\n"


def test_ranges_in_any_order(endpoint: str) -> None:
    for key, value in (("o/a", "2"), ("o/b", "3"), ("o/c", "1")):
        output_of("put", key, value, endpoint=endpoint)
    values = ("get", "o/", "--prefix", "--print-value-only")
    assert output_of(*values, endpoint=endpoint) == "2\n3\n1\n"
    assert output_of(*values, "--order=DESCEND", endpoint=endpoint) == "1\n3\n2\n"
    assert output_of(*values, "--sort-by=value", endpoint=endpoint) == "1\n2\n3\n"
    last = (*values, "--sort-by=MODIFY", "--order=descend", "--limit=1")
    assert output_of(*last, endpoint=endpoint) == "1\n"
    assert output_of("get", "o/a", "o/c", endpoint=endpoint) == "o/a\n2\no/b\n3\n"
    after = output_of("get", "o/b", "--from-key", "--keys-only", endpoint=endpoint).splitlines()
    assert after[:2] == ["o/b", "o/c"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "a", "b", "--prefix"],
        ["get", "a", "--prefix", "--from-key"],
        ["get", "a", "--keys-only", "--count-only"],
        ["get", "a", "--print-value-only", "--json"],
        ["get", "a", "--order=up"],
        ["del", "kept", "b", "--from-key"],
        ["del", "", "--prefix", "--from-key"],
        ["watch", "a", "b", "--prefix"],
        ["watch", "a", "--count=-1"],
        ["put", "kept", "v", "--command-timeout=soon"],
        ["put", "kept"],
        ["put", "kept", "v", "--ignore-value"],
        ["put", "not there", "--ignore-value"],
        ["put", "kept", "v", "--ignore-lease", "--lease=1"],
    ],
    ids=" ".join,
)
def test_bad_combinations_are_2_and_nothing_is_done(arguments: list[str], endpoint: str) -> None:
    output_of("put", "kept", "as it was", endpoint=endpoint)
    answer = raftwerk(*arguments, endpoint=endpoint)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert output_of("get", "kept", endpoint=endpoint) == "as it was\n"


def test_put_keeps_the_value_or_the_lease_that_the_key_has(endpoint: str) -> None:
    lease = output_of("lease", "grant", "100", endpoint=endpoint).split()[1]
    output_of("put", "kept in part", "1", f"--lease={lease}", endpoint=endpoint)

    def value_and_lease() -> tuple[str, str]:
        keys = output_of("lease", "timetolive", lease, "--keys", endpoint=endpoint)
        value = output_of("get", "kept in part", "--print-value-only", endpoint=endpoint)
        return value, "attached" if "kept in part" in keys else "free"

    output_of("put", "kept in part", "2", "--ignore-lease", endpoint=endpoint)
    assert value_and_lease() == ("2\n", "attached")
    output_of("put", "kept in part", "--ignore-value", endpoint=endpoint)
    assert value_and_lease() == ("2\n", "free")


def test_what_was_there_before(endpoint: str) -> None:
    output_of("put", "before", "1", endpoint=endpoint)
    put = output_of("put", "before", "2", "--prev-kv", endpoint=endpoint)
    assert put.splitlines()[1:] == ["before", "1"]
    gone = output_of("del", "before", "--prev-kv", endpoint=endpoint)
    assert gone.splitlines()[1:] == ["before", "2"]
    anew = output_of("put", "before", "3", "--prev-kv", endpoint=endpoint)
    assert anew.splitlines()[1:] == []


def test_empty_prefix_is_everything(endpoint: str) -> None:
    output_of("put", "everything", "value", endpoint=endpoint)
    count = int(output_of("get", "", "--prefix", "--count-only", endpoint=endpoint))
    keys = output_of("get", "", "--prefix", "--keys-only", "--serializable", endpoint=endpoint)
    assert len(keys.splitlines()) == count >= 1


def test_prefix_that_ends_in_the_last_byte(endpoint: str) -> None:
    """The range ends at the next key that does not begin with it."""
    last = os.fsdecode(b"p\xff")
    output_of("put", last, "in", endpoint=endpoint)
    output_of("put", "q", "out", endpoint=endpoint)
    assert output_of("get", last, "--prefix", "--count-only", endpoint=endpoint) == "1\n"


def test_del_tells_how_many(endpoint: str) -> None:
    for key in ("del/a", "del/b"):
        output_of("put", key, "value", endpoint=endpoint)
    assert output_of("del", "del/", endpoint=endpoint).startswith("0 deleted, revision ")
    assert output_of("del", "del/", "--prefix", endpoint=endpoint).startswith("2 deleted, ")
    assert raftwerk("get", "del/a", endpoint=endpoint).exit_code == 1


def test_del_of_ranges(endpoint: str) -> None:
    for key in ("zz/a", "zz/b", "zz/c"):
        output_of("put", key, "value", endpoint=endpoint)
    assert output_of("del", "zz/a", "zz/c", endpoint=endpoint).startswith("2 deleted, ")
    assert output_of("del", "zz/", "--from-key", endpoint=endpoint).startswith("1 deleted, ")


def test_json_is_that_of_the_gateway(endpoint: str) -> None:
    """Names of the proto files, bytes in base64, large numbers as strings."""
    revision = json_of("put", "json", "value", endpoint=endpoint)["header"]["revision"]  # type: ignore[index]
    answer = json_of("get", "json", endpoint=endpoint)
    assert answer["count"] == "1"
    assert answer["kvs"] == [
        {
            "key": "anNvbg==",
            "value": "dmFsdWU=",
            "create_revision": revision,
            "mod_revision": revision,
            "version": "1",
        }
    ]
    assert json_of("del", "json", endpoint=endpoint)["deleted"] == "1"


# Failures


def test_refusal_is_2_and_in_the_servers_words(endpoint: str) -> None:
    answer = raftwerk("put", "", "value", endpoint=endpoint)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == "raftwerk: etcdserver: key is not provided\n"


@pytest.mark.parametrize(
    ("endpoints", "text"),
    [("", "at least one endpoint is needed"), ("h", "http://HOST:PORT")],
)
def test_wrong_endpoint_is_2(endpoints: str, text: str) -> None:
    answer = raftwerk("get", "key", endpoint=endpoints)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert text in answer.stderr


def test_write_whose_outcome_is_unknown_is_3_and_says_so(severed: str) -> None:
    answer = raftwerk("put", "key", "value", endpoint=severed)
    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr == (
        f"raftwerk: {severed} is gone: connection lost: it may have happened, or may yet happen; look before you try again\n"
    )


@pytest.mark.parametrize("variable", ["RAFTWERK_ENDPOINTS", "ETCDCTL_ENDPOINTS"])
def test_endpoints_from_the_environment(endpoint: str, variable: str) -> None:
    answer = CliRunner(env={variable: f" {NOBODY}, {endpoint}"}).invoke(app, ["put", "env", "v"])
    assert answer.exit_code == 0


# status, members


def test_status_shows_every_endpoint_and_is_1_if_one_does_not_answer(endpoint: str) -> None:
    answer = raftwerk("status", endpoint=f"{endpoint},{NOBODY}")
    assert answer.exit_code == 1
    rows = [line for line in answer.stdout.splitlines() if ":" in line]
    assert [endpoint in rows[0], "leader" in rows[0]] == [True, True]
    assert NOBODY in rows[1]
    assert "cannot be reached" in rows[1]


def test_status_of_nobody_is_2() -> None:
    answer = raftwerk("status", endpoint="")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == "raftwerk: at least one endpoint is needed\n"


def test_status_waits_for_nobody_who_is_not_there(endpoint: str, tmp_path: Path) -> None:
    ask = ("status", f"--endpoints={endpoint},{NOBODY}", "--command-timeout=1h")
    answer = run(*ask, folder=tmp_path)
    assert answer.returncode == 1
    assert f"{NOBODY} cannot be reached: nothing listens there" in answer.stdout
    assert "leader" in answer.stdout


def test_status_tells_learners_from_followers_and_that_nobody_leads() -> None:
    header = ResponseHeader(member_id=255)
    learner = StatusResponse(header=header, version="3.5.1", leader=2, isLearner=True)
    assert _status_row("a:1", learner)[:4] == ("a:1", "ff", "3.5.1", "learner")
    follower = StatusResponse(header=header)
    assert (_status_row("a:1", follower)[3], _status_row("a:1", follower)[-1]) == (
        "follower",
        "no leader",
    )


@pytest.mark.parametrize(("size", "text"), [(20_480, "20.5 kB"), (1_500_000, "1.5 MB")])
def test_status_tells_the_size_of_the_store_in_fitting_units(size: int, text: str) -> None:
    answer = StatusResponse(header=ResponseHeader(member_id=255), leader=255, dbSize=size)
    assert _status_row("a:1", answer)[-2] == text


def test_table_in_a_pipe_is_whole(endpoint: str, tmp_path: Path) -> None:
    """However narrow the terminal that somebody once set: nothing is cut short."""
    answer = run("status", f"--endpoints={endpoint}", folder=tmp_path, COLUMNS="20")
    assert answer.returncode == 0
    assert endpoint in answer.stdout
    assert "…" not in answer.stdout


def test_table_on_a_narrow_terminal_is_folded_not_cut(endpoint: str) -> None:
    runner = CliRunner(env={"COLUMNS": "60", "TTY_COMPATIBLE": "1", "FORCE_COLOR": "1"})
    answer = runner.invoke(app, ["members", f"--endpoints={endpoint}"])
    assert answer.exit_code == 0
    assert "…" not in answer.stdout


def test_status_as_json_is_one_line_for_each_endpoint(endpoint: str) -> None:
    answer = raftwerk("status", "--json", endpoint=f"{endpoint},{NOBODY}")
    good, bad = (json.loads(line) for line in answer.stdout.splitlines())
    assert good["endpoint"] == endpoint
    assert good["leader"] == good["header"]["member_id"]
    assert bad["endpoint"] == NOBODY
    assert "cannot be reached" in bad["error"]


def test_members(endpoint: str) -> None:
    table = output_of("members", endpoint=endpoint)
    (member,) = json.loads(output_of("members", "--json", endpoint=endpoint))["members"]
    assert member["name"] == "node1"
    assert member["clientURLs"] == [f"http://{endpoint}"]
    assert f"{int(member['ID']):x}" in table
    assert f"http://{endpoint}" in table


def test_status_of_every_member_that_any_of_them_knows(tmp_path: Path) -> None:
    """Also when none leads; and what got no answer then tells that there is no leader."""
    with running_cluster(tmp_path, 3) as cluster:
        leader = cluster.wait_leader()
        left = next(member for member in cluster.members if member is not leader)
        there = f"127.0.0.1:{left.client_port}"
        urls = {member.client_url for member in cluster.members}
        until(
            lambda: raftwerk("status", "--cluster", endpoint=there).exit_code == 0, "who is there?"
        )
        lines = output_of("status", "--cluster", "--json", endpoint=there).splitlines()
        told = [json.loads(line) for line in lines]
        assert {each["endpoint"] for each in told} == urls
        assert len({each["header"]["member_id"] for each in told}) == 3
        assert len({each["leader"] for each in told}) == 1
        for other in cluster.members:
            if other is not left:
                cluster.kill(other)
        answer = raftwerk("status", "--cluster", endpoint=there)
        assert answer.exit_code == 1
        (row,) = [line for line in answer.stdout.splitlines() if there in line]
        assert "follower" in row
        assert [url for url in urls if url in answer.stdout] == [*urls]
        answer = raftwerk("put", "a", "b", "--command-timeout=2", endpoint=there)
    assert answer.exit_code in (2, 3)
    assert "knows no leader: most members may be down" in answer.stderr


def test_status_of_a_member_that_has_not_started(etcd_endpoint: str) -> None:
    output_of("member", "add", "http://127.0.0.1:1", "--learner", endpoint=etcd_endpoint)
    answer = raftwerk("status", "--cluster", endpoint=etcd_endpoint)
    assert answer.exit_code == 1
    assert "it has not told where clients find it: not started yet" in answer.stdout
    assert etcd_endpoint in answer.stdout


def test_members_are_asked_of_somebody_who_is_there() -> None:
    answer = raftwerk("status", "--cluster", endpoint=NOBODY)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"raftwerk: nothing listens at {NOBODY}. ")
