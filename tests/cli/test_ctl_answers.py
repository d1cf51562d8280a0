"""What commands print of an answer."""

import json

import pytest

from tests.cli.invoked import raftwerk


@pytest.mark.parametrize(
    "command",
    [
        "put a b",
        "get a",
        "del a",
        "lease grant 60",
        "lease list",
        "member list",
        "members",
        "alarm list",
        "alarm disarm",
        "user list",
        "user get someone",
        "role list",
        "role get something",
        "auth status",
        "status",
        "status --cluster",
    ],
)
def test_json_is_the_whole_answer_of_every_command(command: str, live_endpoint: str) -> None:
    """As with etcdctl: who answered, of which cluster, stands in its header."""
    raftwerk("user add someone --new-user-password=secret", endpoint=live_endpoint)
    raftwerk("role add something", endpoint=live_endpoint)
    answer = json.loads(raftwerk(f"{command} --json", endpoint=live_endpoint).stdout)
    assert {"cluster_id", "member_id"} <= answer["header"].keys()
