"""The JSON gateway beside etcd's: the same requests get the same answers."""

import http.client
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from raftwerk.cli.cluster import LocalCluster, Member

IDS = re.compile(r'"(cluster_id|member_id|raft_term|ID|leader)":"\d+"')
REVISION = re.compile(r'"(\w*revision)":"(\d+)"')


class Answer(NamedTuple):
    status: int
    content_type: str | None
    body: str


def ask(member: Member, method: str, path: str, body: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        return Answer(answer.status, answer.getheader("Content-Type"), text)
    finally:
        connection.close()


def revision(member: Member) -> int:
    answer = json.loads(ask(member, "POST", "/v3/kv/range", '{"key":"AA=="}').body)
    return int(answer["header"]["revision"])


def normal(answer: Answer, start: int) -> Any:
    """Without what differs by nature; revisions as counted from the start of the case."""
    text = IDS.sub(r'"\1":""', answer.body)
    text = REVISION.sub(
        lambda found: f'"{found[1]}":"{max(-1, int(found[2]) - start)}"',
        text,
    )
    try:
        lines: Any = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        lines = text
    return answer.status, answer.content_type, lines


CASES = {
    "put": [
        ("/kv/put", '{"key":"YQ==","value":"MQ=="}'),
        ("/kv/put", '{"key":"YQ==","value":"Mg==","prev_kv":true,"nonsense":1}'),
        ("/kv/put", '{"key":"YQ==","ignoreValue":true}'),
        ("/kv/range", '{"key":"YQ=="}'),
    ],
    "put that cannot be": [
        ("/kv/put", '{"value":"MQ=="}'),
        ("/kv/put", '{"key":"eA==","ignore_value":true}'),
        ("/kv/put", '{"key":"eA==","lease":"4711"}'),
        ("/kv/put", '{"key":"eA==","value":"MQ==","ignore_value":true}'),
    ],
    "range": [
        ("/kv/put", '{"key":"YTE=","value":"MQ=="}'),
        ("/kv/put", '{"key":"YTI=","value":""}'),
        ("/kv/range", '{"key":"YQ==","range_end":"Yg=="}'),
        ("/kv/range", '{"key":"YQ==","range_end":"Yg==","sort_order":"DESCEND","limit":1}'),
        ("/kv/range", '{"key":"YQ==","range_end":"Yg==","sort_order":2,"limit":"1"}'),
        ("/kv/range", '{"key":"YTE=","keys_only":true,"serializable":true}'),
        ("/kv/range", '{"key":"YTE=","count_only":true}'),
        ("/kv/range", '{"key":"eg=="}'),
    ],
    "range that cannot be": [
        ("/kv/range", ""),
        ("/kv/range", "{}"),
        ("/kv/range", '{"key":"YQ==","revision":"100000"}'),
    ],
    "txn": [
        (
            "/kv/txn",
            (
                '{"compare":[{"target":"CREATE","key":"dA==","create_revision":"0"}],"success":'
                '[{"request_put":{"key":"dA==","value":"MQ=="}},{"requestRange":{"key":"dA=="}}]}'
            ),
        ),
        (
            "/kv/txn",
            (
                '{"compare":[{"target":"VALUE","key":"dA==","value":"Mg==","result":"GREATER"}],'
                '"success":[{"request_put":{"key":"dA=="}}],'
                '"failure":[{"request_delete_range":{"key":"dA==","prev_kv":true}}]}'
            ),
        ),
        ("/kv/txn", "{}"),
        ("/kv/txn", '{"success":[{}]}'),
        (
            "/kv/txn",
            '{"success":[{"request_put":{"key":"dA=="}},{"request_put":{"key":"dA=="}}]}',
        ),
    ],
    "deleterange": [
        ("/kv/put", '{"key":"ZA==","value":"MQ=="}'),
        ("/kv/deleterange", '{"key":"ZA==","prev_kv":true}'),
        ("/kv/deleterange", '{"key":"ZA=="}'),
        ("/kv/deleterange", "{}"),
    ],
    "compaction that cannot be": [("/kv/compaction", '{"revision":"1000000"}')],
    "maintenance": [
        ("/maintenance/alarm", "{}"),
        ("/maintenance/alarm", '{"action":"DEACTIVATE","alarm":"NOSPACE"}'),
    ],
}


@pytest.mark.parametrize("version", ["v3", "v3beta"])
@pytest.mark.parametrize("name", CASES)
def test_gateway_answers_as_etcds(
    cluster: LocalCluster, etcd: Sequence[Member], name: str, version: str
) -> None:
    answers = []
    for member in (cluster.members[1], etcd[1]):
        start = revision(member)
        answers.append(
            [
                normal(ask(member, "POST", f"/{version}{path}", body), start)
                for path, body in CASES[name]
            ]
        )
    assert answers[0] == answers[1]


WRONG = [
    ("POST", "/v3/kv/range", '{"key":"YQ'),
    ("POST", "/v3/kv/range", '{"key":"?"}'),
    ("POST", "/v3/kv/range", '{"key":"YQ"}'),
    ("POST", "/v3/kv/range", '{"key":5}'),
    ("POST", "/v3/kv/range", "nonsense"),
    ("POST", "/v3/kv/range", "[]"),
    ("POST", "/v3/kv/range", '{"limit":"x"}'),
    ("POST", "/v3/kv/range", '{"limit":1.5}'),
    ("POST", "/v3/kv/range", '{"sort_order":"SIDEWAYS"}'),
    ("POST", "/v3/kv/range", '{"keys_only":"true"}'),
    ("GET", "/v3/kv/range", ""),
    ("PUT", "/v3/kv/range", "{}"),
    ("OPTIONS", "/v3/kv/range", ""),
    ("POST", "/v3/nonsense", "{}"),
    ("POST", "/v3/kv/range/", "{}"),
    ("POST", "/v3alpha/kv/range", "{}"),
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_wrong_request_gets_etcds_status_and_code(
    cluster: LocalCluster, etcd: Sequence[Member], method: str, path: str, body: str
) -> None:
    """The words about what is wrong with JSON are our own."""
    found = []
    for member in (cluster.members[0], etcd[0]):
        answer = ask(member, method, path, body)
        is_json = answer.content_type == "application/json"
        found.append((answer.status, json.loads(answer.body)["code"] if is_json else None))
    assert found[0] == found[1]
