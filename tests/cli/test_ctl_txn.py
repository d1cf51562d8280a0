"""raftwerk txn: etcdctl's way to write a transaction."""

import json

import pytest
from google.protobuf.json_format import MessageToDict
from typer.testing import CliRunner

from raftwerk.api.rpc_pb2 import Compare, RequestOp
from raftwerk.cli.ctl_txn import parse_blocks, parse_comparison, parse_operation
from raftwerk.cli.main import app
from raftwerk.client.txn import created, delete, get, lease_of, modified, put, value, version
from raftwerk.errors import UsageError


@pytest.mark.parametrize(
    ("line", "compare"),
    [
        ('value("a b") = "x y"', value(b"a b").equals(b"x y")),
        ('val(k) != "\\"q\\""', value(b"k").differs_from(b'"q"')),
        ('value("k") = ""', value(b"k").equals(b"")),
        ('version("k") > "0"', version(b"k").is_above(0)),
        ('ver("k") < 3', version(b"k").is_below(3)),
        ('create("k") = "0"', created(b"k").equals(0)),
        ('mod("k") > "7"', modified(b"k").is_above(7)),
        ('lease("k") = "ff"', lease_of(b"k").equals(255)),
    ],
)
def test_comparisons(line: str, compare: Compare) -> None:
    assert MessageToDict(parse_comparison(line)) == MessageToDict(compare)


@pytest.mark.parametrize(
    "line", ["", "nothing", 'age("k") = "1"', 'version("k") = "x"', 'value("k") ~ "x"']
)
def test_what_is_no_comparison(line: str) -> None:
    with pytest.raises(UsageError):
        parse_comparison(line)


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("put k 'a value'", put(b"k", b"a value")),
        ("get k", get(b"k")),
        ("get --prefix k", get(b"k", prefix=True)),
        ("del k --prefix", delete(b"k", prefix=True)),
    ],
)
def test_operations(line: str, operation: RequestOp) -> None:
    assert parse_operation(line) == operation


@pytest.mark.parametrize("line", ["put k", "get", "get a b", "del", "put 'k", "run k"])
def test_what_is_no_operation(line: str) -> None:
    with pytest.raises(UsageError):
        parse_operation(line)


def test_blocks() -> None:
    assert parse_blocks("a\n\nb\nc\n\nd\n") == [["a"], ["b", "c"], ["d"]]
    assert parse_blocks("") == [[], [], []]
    assert parse_blocks("\nb\n") == [[], ["b"], []]
    with pytest.raises(UsageError):
        parse_blocks("a\n\nb\n\nc\n\nd\n")


def test_a_transaction_runs(live_endpoint: str) -> None:
    text = 'version("txn") = "0"\n\nput txn 1\n\nget txn\ndel txn\n'
    arguments = ["txn", f"--endpoints={live_endpoint}"]
    first = CliRunner().invoke(app, arguments, input=text)
    second = CliRunner().invoke(app, arguments, input=text)
    assert (first.exit_code, first.stdout) == (0, "SUCCESS\n\nOK\n")
    assert (second.exit_code, second.stdout) == (1, "FAILURE\n\ntxn\n1\n\n1\n")


def test_a_transaction_as_json(live_endpoint: str) -> None:
    answer = CliRunner().invoke(
        app, ["txn", "--json", f"--endpoints={live_endpoint}"], input="\nget none\n"
    )
    assert json.loads(answer.stdout)["succeeded"] is True
    assert answer.exit_code == 0


def test_keys_and_values_that_are_no_text_arrive_as_they_were_written(live_endpoint: str) -> None:
    arguments = ["txn", f"--endpoints={live_endpoint}"]
    written = CliRunner().invoke(app, arguments, input=b"\nput \xff \xfe\n")
    compared = CliRunner().invoke(app, arguments, input=b'value("\xff") = "\xfe"\n\nget \xff\n')
    assert (written.exit_code, compared.exit_code) == (0, 0)
    assert compared.stdout.split() == ["SUCCESS", "base64:/w==", "base64:/g=="]


def test_what_is_no_transaction_is_one_line_and_exit_code_2(live_endpoint: str) -> None:
    arguments = ["txn", f"--endpoints={live_endpoint}"]
    answer = CliRunner().invoke(app, arguments, input='value("a") = "x\n\nput a b\n')
    assert (answer.exit_code, answer.stderr.count("\n")) == (2, 1)
    assert "No closing quotation" in answer.stderr
