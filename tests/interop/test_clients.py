"""Clients that others wrote, each on a stack of its own: what they see of raftwerk is what they see of etcd.

Each is a program that uses what its client offers and prints what it saw as JSON. (Programs: the messages of aetcd and ours
have the same names, and one process can know them once.)
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raftwerk.cli.cluster import Member
from tests.conftest import running_cluster
from tests.interop.etcd_cluster import running_etcd

HERE = Path(__file__).parent
SEEN: dict[str, Any] = {
    "get": "1",
    "get of nothing": None,
    "prefix": ["1", "2"],
    "deleted": 2,
    "txn": [[True, None], [False, "new"]],
    "watch": [["PUT", "1"], ["PUT", "2"], ["DELETE", ""]],
    "lease": [60, ["l"], None],
    "lock": [True, False, True],
    # of those that have it
    "lease granted": [],
    "lock order": ["waits", "first", "second"],
    "election": "me",
    "groups": [["one", "two"], "able", ["one"], ["two"], ["two"]],
    "group twice": "Group group already exists",
    "group is listed": True,
    "no group": [],
}
_KV = {"get", "get of nothing", "prefix", "deleted", "txn", "watch"}
OFFERS = {
    "with_aetcd.py": _KV | {"lease", "lock"},
    "with_etcd3gw.py": _KV | {"lease", "lock"},
    "with_etcd_client.py": _KV | {"lease granted", "lock order"},
    "with_tooz.py": {"lock", "groups", "group twice", "group is listed", "no group"},
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Member]]:
    """A member of each, alone in its cluster."""
    with (
        running_cluster(tmp_path_factory.mktemp("raftwerk"), 1) as cluster,
        running_etcd(tmp_path_factory.mktemp("etcd"), 1) as (etcd,),
    ):
        yield {"raftwerk": cluster.members[0], "etcd": etcd}


@pytest.mark.parametrize("server", ["etcd", "raftwerk"])
@pytest.mark.parametrize("program", OFFERS)
def test_client_sees_what_it_should(servers: dict[str, Member], server: str, program: str) -> None:
    check([sys.executable, str(HERE / "clients" / program)], servers[server], OFFERS[program])


@pytest.mark.parametrize("server", ["etcd", "raftwerk"])
def test_node_client_sees_what_it_should(
    servers: dict[str, Member], server: str, node_folder: Path
) -> None:
    command = ["node", str(node_folder / "with_etcd3.js")]
    check(command, servers[server], _KV | {"lease", "lock", "election"})


def check(command: list[str], member: Member, offers: set[str]) -> None:
    done = subprocess.run(
        [*command, str(member.client_port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: SEEN[name] for name in offers}
