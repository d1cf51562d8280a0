"""Clusters that the tests of a module share: their keys are their own, or they put both sides into the same state."""

from collections.abc import Iterator, Sequence

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from tests.conftest import running_cluster
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three members of raftwerk."""
    with running_cluster(tmp_path_factory.mktemp("raftwerk"), 3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Member]]:
    """Three members of etcd 3.5."""
    with running_etcd(tmp_path_factory.mktemp("etcd"), 3) as members:
        yield members
