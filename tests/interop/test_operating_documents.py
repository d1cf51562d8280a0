"""docs/operating.md and docs/migrating.md: what they name is there, and what they show runs as it stands."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from raftwerk.sync import Client
from tests.conftest import running_cluster
from tests.documents import shell_in, text_of
from tests.interop.etcd_cluster import running_etcd

ROOT = ("root", "PASSWORD")


@pytest.fixture
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """A real etcd."""
    with running_etcd(tmp_path_factory.mktemp("etcd"), 1) as members:
        yield members[0]


@pytest.fixture
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running_cluster(tmp_path_factory.mktemp("raftwerk"), 1) as cluster:
        yield cluster


def test_metrics_to_watch_are_there(cluster: LocalCluster) -> None:
    table = re.findall(r"^\| .*$", text_of("operating.md"), re.MULTILINE)
    named = set(re.findall(r"\b(?:etcd|raftwerk|process|grpc_server)_\w+", "\n".join(table)))
    with urllib.request.urlopen(f"{cluster.members[0].client_url}/metrics", timeout=10) as answer:
        there = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))
    assert len(named) > 10
    assert named - there == set()


def enable_auth(client: Client) -> None:
    auth = client.aio.auth
    for step in (
        auth.user_add(*ROOT),
        auth.user_grant_role("root", "root"),
        auth.role_add("app"),
        auth.role_grant("app", "READWRITE", b"app/", prefix=True),
        auth.role_grant("app", "READ", b"conf"),
        auth.user_add("ada", "secret"),
        auth.user_grant_role("ada", "app"),
        auth.enable(),
    ):
        client.run(step)


def test_users_and_roles_are_copied_from_an_etcd(
    old: Member, new: LocalCluster, tmp_path: Path
) -> None:
    with Client([old.client_url]) as client:
        enable_auth(client)
    (block,) = shell_in("migrating.md")
    there = new.members[0].client_url
    script = block.replace("10.0.0.1:2379", old.client_url).replace("10.0.1.1:2379", there)
    (tmp_path / "raftwerk").write_text(f'#!/bin/sh\nexec {sys.executable} -m raftwerk.cli "$@"\n')
    (tmp_path / "raftwerk").chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", script], env=variables, check=True, timeout=100)
    with Client([there], credentials=("ada", "NEW")) as ada:
        ada.put(b"app/1", b"hers")
        assert ada.get(b"conf") is None
        assert list(ada.run(ada.aio.auth.user_roles("ada"))) == ["app"]
    with Client([there], credentials=("root", "NEW")) as root:
        granted = root.run(root.aio.auth.role_permissions("app"))
    assert [(one.permType, one.key, one.range_end) for one in granted] == [
        (2, b"app/", b"app0"),
        (0, b"conf", b""),
    ]
