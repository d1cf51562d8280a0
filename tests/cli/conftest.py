"""A member for the commands that talk to one."""

from collections.abc import Iterator

import pytest

from raftwerk.cli.cluster import LocalCluster, free_ports
from tests.conftest import FAST
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="package")
def live_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a single node of ours."""
    cluster = LocalCluster(tmp_path_factory.mktemp("ctl"), free_ports(1), FAST)
    try:
        cluster.start_all()
        cluster.wait_ready()
        yield f"127.0.0.1:{cluster.members[0].client_port}"
    finally:
        cluster.stop_all()


@pytest.fixture
def etcd_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a real etcd."""
    with running_etcd(tmp_path_factory.mktemp("etcd"), 1) as members:
        yield f"127.0.0.1:{members[0].client_port}"
