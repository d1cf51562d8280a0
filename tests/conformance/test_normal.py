"""What cannot be the same on two clusters is left out; everything else stays."""

import base64
from typing import Any

import pytest

from raftwerk.conformance.names import Names
from raftwerk.conformance.normal import named_json, normal, normal_text

NAMES = Names(b"p/", 1000, 0x1234567890ABCD00)
HEADER = {"cluster_id": 1, "member_id": 2, "raft_term": 3, "revision": "R+1"}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_header_is_complete_or_not() -> None:
    assert normal({"header": HEADER}) == {"header": {"revision": "R+1", "ids": "set"}}
    part = {name: value for name, value in HEADER.items() if name != "raft_term"}
    assert normal({"header": part}) == {
        "header": {"revision": "R+1", "cluster_id": "set", "member_id": "set"}
    }


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"version": "3.5.1", "raftTerm": 7}, {"version": "set", "raftTerm": "set"}),
        ({"kvs": [{"version": 2}]}, {"kvs": [{"version": 2}]}),
        ({"leader": 5}, {"leader": "set"}),
        ({"leader": {"name": "e"}}, {"leader": {"name": "e"}}),
        ({"TTL": 59, "grantedTTL": 60}, {"TTL": "about granted", "grantedTTL": 60}),
        ({"TTL": 3, "grantedTTL": 60}, {"TTL": 3, "grantedTTL": 60}),
        ({"TTL": 61, "grantedTTL": 60}, {"TTL": 61, "grantedTTL": 60}),
        ({"TTL": -1}, {"TTL": -1}),
        ({"keys": ["b", "a"]}, {"keys": ["a", "b"]}),
        ({"kvs": [{"key": "b"}, {"key": "a"}]}, {"kvs": [{"key": "b"}, {"key": "a"}]}),
        (
            {"leases": [{"ID": "L+2"}, {"ID": "picked"}, {"ID": "L+1"}]},
            {"leases": [{"ID": "L+1"}, {"ID": "L+2"}]},
        ),
        ({"leases": [{"ID": 77}]}, {}),
    ],
)
def test_answer_is_told(answer: dict[str, Any], told: dict[str, Any]) -> None:
    assert normal(answer) == told


def test_members_are_told_by_what_is_said_of_them() -> None:
    one = {"ID": 1, "name": "a", "peerURLs": ["x"], "clientURLs": ["y"]}
    other = {"ID": 2, "name": "b", "peerURLs": ["z"], "clientURLs": ["v"]}
    assert normal({"members": [one, other]}) == normal({"members": [one]})
    assert normal({"members": [one, {"ID": 3, "peerURLs": ["x"]}]}) != normal({"members": [one]})


def test_body_of_the_gateway_is_told_by_the_names_of_the_case() -> None:
    body = {
        "kvs": [{"key": encoded(b"p/a"), "mod_revision": "1002", "value": encoded(b"1")}],
        "ID": str(0x1234567890ABCD01),
        "count": "1",
    }
    assert named_json(body, NAMES) == {
        "kvs": [{"key": "a", "mod_revision": "R+2", "value": "1"}],
        "ID": "L+1",
        "count": "1",
    }


@pytest.mark.parametrize("value", [1002, "10x", None])
def test_number_of_the_gateway_that_is_no_text_stands_out(value: object) -> None:
    assert named_json({"mod_revision": value}, NAMES) == {"mod_revision": value}


def test_value_that_is_no_base64_stands_out() -> None:
    assert named_json({"value": "?"}, NAMES) == {"value": "?"}


def test_words_of_a_parser_are_left_out() -> None:
    prefix = "grpc: error unmarshalling request: "
    assert normal_text(f"{prefix}unexpected EOF") == f"{prefix}..."
    assert normal_text("etcdserver: no leader") == "etcdserver: no leader"
