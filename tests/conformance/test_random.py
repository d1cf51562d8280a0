"""Random requests to a real etcd and to raftwerk: the answers are equal. A search for more: tests.conformance.campaign."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings

from raftwerk.cli.cluster import Member
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.steps import Case
from raftwerk.conformance.suite import Site
from tests.conformance.pair import Pair
from tests.conformance.random_auth import auth_cases
from tests.conformance.random_steps import cases


@pytest.fixture(scope="module")
def pair(runner: asyncio.Runner, etcd: Member, members: Sequence[Member]) -> Iterator[Pair]:
    endpoints = [ClientEndpoint(member.client_url) for member in (etcd, *members)]
    reference, *sites = map(Site, endpoints)
    yield Pair(runner, reference, sites)
    for endpoint in endpoints:
        runner.run(endpoint.close())


@settings(max_examples=60)
@given(case=cases())
def test_keys_leases_and_watches(pair: Pair, case: Case) -> None:
    """With transactions and compactions."""
    pair.check(case)


@settings(max_examples=15)
@given(case=auth_cases())
def test_rights(pair: Pair, case: Case) -> None:
    """What is allowed to whom, while it changes."""
    pair.check(case)
