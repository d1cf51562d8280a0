"""Clusters that the tests of a module share: their keys are their own, or they put both sides into the same state."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from tests.conftest import FAST
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three members of raftwerk."""
    folder: Path = tmp_path_factory.mktemp("raftwerk")
    cluster = LocalCluster(folder, free_ports(3), FAST)
    try:
        cluster.start_all()
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.stop_all()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Member]]:
    """Three members of etcd 3.5."""
    with running_etcd(tmp_path_factory.mktemp("etcd"), 3) as members:
        yield members
