"""A client of the JSON gateway, and its answers without what cannot be the same on two clusters."""

import http.client
import json
import re
from typing import Any, NamedTuple

from raftwerk.cli.cluster import Member

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
