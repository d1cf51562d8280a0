"""The servers that the client is tried with: ours, and the real etcd."""

from collections.abc import Iterator

import pytest

from raftwerk.cli.cluster import LocalCluster, Member, free_ports
from tests.conftest import FAST
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
    cluster = LocalCluster(folder, free_ports(1), FAST)
    try:
        cluster.start_all()
        cluster.wait_ready()
        yield cluster.members[0]
    finally:
        cluster.stop_all()
