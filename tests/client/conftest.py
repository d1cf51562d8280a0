"""The servers that the client is tried with: ours, and the real etcd."""

from collections.abc import Iterator

import pytest

from raftwerk.cli.cluster import Member
from tests.conftest import running_cluster
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="package", params=["raftwerk", "etcd"])
def member(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Member]:
    """A single node that answers."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "etcd":
        with running_etcd(folder, 1) as members:
            yield members[0]
        return
    with running_cluster(folder, 1) as cluster:
        yield cluster.members[0]
