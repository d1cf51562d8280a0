"""Random requests to a real etcd and to raftwerk: the answers are equal. A search for more: tests.conformance.campaign."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings

from raftwerk.cli.cluster import Member
from raftwerk.conformance.cases.keys import SEED
from raftwerk.conformance.cases.txns import get, put
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.methods import METHODS
from raftwerk.conformance.steps import Case, call, setup
from raftwerk.conformance.suite import Site
from tests.conformance.pair import Pair
from tests.conformance.random_auth import auth_cases
from tests.conformance.random_steps import cases


@pytest.fixture(scope="module")
def pair(runner: asyncio.Runner, etcd: Member, members: Sequence[Member]) -> Iterator[Pair]:
    endpoints = [ClientEndpoint(member.client_url) for member in (etcd, *members)]
    reference, *sites = map(Site, endpoints)
    compacted = Case("random/compacted", (*SEED, setup("KV.Compact", revision="R+1")))
    for site in (reference, sites[0]):  # a store that never was takes a compaction at 0
        runner.run(site.play(compacted))
    yield Pair(runner, reference, sites)
    for endpoint in endpoints:
        runner.run(endpoint.close())


@settings(max_examples=45)
@given(case=cases())
def test_keys_leases_and_watches(pair: Pair, case: Case) -> None:
    """With transactions and compactions."""
    pair.check(case)


@settings(max_examples=15)
@given(case=auth_cases())
def test_rights(pair: Pair, case: Case) -> None:
    """What is allowed to whom, while it changes."""
    pair.check(case)


def test_members_hold_the_same_after_refused_transactions(
    runner: asyncio.Runner, members: Sequence[Member]
) -> None:
    """Reads at revisions that are not there fail at every member, not only at the one that is asked; and so for the rest."""
    bad = [
        call("KV.Txn", success=[put("a"), get("a", revision=revision)])
        for revision in ("R+1000", 1)
    ]
    compact = setup("KV.Compact", revision="R+2")
    case = Case("random/members", (*SEED, compact, *bad, setup("KV.Put", key="b")))

    async def hashes() -> list[int]:
        endpoints = [ClientEndpoint(member.client_url) for member in members]
        for endpoint in endpoints:
            told = await Site(endpoint).play(case)
            assert [one["code"] for one in told] == ["OUT_OF_RANGE"] * 2
        path, request, response = METHODS["KV.Range"]
        answer = await endpoints[0].call(path, request(key=b"a").SerializeToString(), ())
        revision = cast("Any", response.FromString(answer.message)).header.revision
        found = []
        for endpoint in endpoints:
            barrier = request(key=b"a").SerializeToString()
            await endpoint.call(path, barrier, ())
            hash_path, hash_request, hash_response = METHODS["Maintenance.HashKV"]
            data = hash_request(revision=revision).SerializeToString()
            answer = await endpoint.call(hash_path, data, ())
            found.append(cast("Any", hash_response.FromString(answer.message)).hash)
            await endpoint.close()
        return found

    found = runner.run(hashes())
    assert found[0] != 0
    assert len(set(found)) == 1
