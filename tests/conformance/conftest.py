"""A real etcd, and three members of raftwerk: one pair for all tests of the folder, whose keys are their own."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.suite import Site
from tests.conformance.grpcio_endpoint import GrpcioEndpoint
from tests.conformance.target import Target
from tests.conftest import running_cluster
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="package")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    with running_etcd(tmp_path_factory.mktemp("etcd"), 1) as (member,):
        yield member


@pytest.fixture(scope="package")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Member]]:
    """Of raftwerk."""
    with running_cluster(tmp_path_factory.mktemp("raftwerk"), 3) as cluster:
        yield cluster.members


@pytest.fixture(scope="package")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="package", params=["etcd", "raftwerk", "raftwerk_by_grpcio"])
def target(
    request: pytest.FixtureRequest,
    etcd: Member,
    members: Sequence[Member],
    runner: asyncio.Runner,
) -> Iterator[Target]:
    """What the cases are played on."""
    kind = GrpcioEndpoint if request.param == "raftwerk_by_grpcio" else ClientEndpoint

    async def connect() -> list[Site]:
        chosen = [etcd] if request.param == "etcd" else members
        return [Site(kind(f"127.0.0.1:{member.client_port}")) for member in chosen]

    sites = runner.run(connect())
    yield Target(runner, sites, is_etcd=request.param == "etcd")
    for site in sites:
        runner.run(site.endpoint.close())
