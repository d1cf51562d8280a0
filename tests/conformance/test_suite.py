"""Runs on a cluster that has data: nothing of it changes, and a server that errs is found out."""

import asyncio
from collections.abc import Sequence
from typing import Any

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.methods import METHODS
from raftwerk.conformance.steps import Case, Metadata, Needs, setup
from raftwerk.conformance.suite import Result, run
from raftwerk.http2.client import Answer

EVERYTHING = {"key": b"\0", "range_end": b"\0"}
HARMLESS = frozenset((Needs.NOTHING,))


async def ask(endpoint: ClientEndpoint, method: str, **fields: Any) -> Any:
    path, request, response = METHODS[method]
    answer = await endpoint.call(path, request(**fields).SerializeToString(), ())
    return response.FromString(answer.message)


async def state(endpoint: ClientEndpoint) -> object:
    """All there is: keys, leases, users, roles, alarms."""
    keys = await ask(endpoint, "KV.Range", **EVERYTHING)
    leases = await ask(endpoint, "Lease.LeaseLeases")
    users = await ask(endpoint, "Auth.UserList")
    roles = await ask(endpoint, "Auth.RoleList")
    alarms = await ask(endpoint, "Maintenance.Alarm")
    return (
        [str(kv) for kv in keys.kvs],
        sorted(lease.ID for lease in leases.leases),
        list(users.users),
        list(roles.roles),
        list(alarms.alarms),
    )


async def results(
    endpoints: Sequence[ClientEndpoint], cases: Sequence[Case], allowed: frozenset[Needs]
) -> list[Result]:
    return [result async for result in run(endpoints, cases, allowed)]


def test_nothing_is_left_behind_and_nothing_of_others_changes(
    runner: asyncio.Runner, members: Sequence[Member]
) -> None:
    async def check() -> None:
        endpoints = [ClientEndpoint(member.client_url) for member in members]
        await ask(endpoints[0], "KV.Put", key=b"others", value=b"1")
        await ask(endpoints[0], "Lease.LeaseGrant", ID=4711, TTL=1000)
        before = await state(endpoints[0])
        cases = [
            case
            for area in ("leases", "contests", "permissions", "cluster")
            for case in AREAS[area]
        ]
        outcome = await results(endpoints, cases, frozenset(Needs))
        assert [(one.case.name, one.difference) for one in outcome if one.difference] == []
        assert await state(endpoints[0]) == before
        await ask(endpoints[0], "Lease.LeaseRevoke", ID=4711)
        alone = [case for case in AREAS["keys"] if case.needs is Needs.ALONE]
        for one in await results(endpoints, alone, frozenset(Needs)):
            assert one.reason == "the store has keys of others"
        await ask(endpoints[0], "KV.DeleteRange", key=b"others")
        for endpoint in endpoints:
            await endpoint.close()

    runner.run(check())


def test_cases_that_are_not_allowed_are_left_out(
    runner: asyncio.Runner, members: Sequence[Member]
) -> None:
    async def check() -> None:
        endpoint = ClientEndpoint(members[0].client_url)
        await ask(endpoint, "Auth.RoleAdd", name="others")
        cases = [AREAS["auth"][0], AREAS["cluster"][0]]
        outcome = await results([endpoint], cases, HARMLESS)
        assert [one.reason for one in outcome] == ["needs auth", ""]
        outcome = await results([endpoint], cases, HARMLESS | {Needs.AUTH})
        assert [one.reason for one in outcome] == ["there are users or roles", ""]
        await ask(endpoint, "Auth.RoleDelete", role="others")
        await endpoint.close()

    runner.run(check())


class Wrong(ClientEndpoint):
    """A server that counts one key too many."""

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer:
        answer = await super().call(path, message, metadata)
        if not path.endswith("/Range"):
            return answer
        response = rpc_pb2.RangeResponse.FromString(answer.message)
        response.count += 1
        return answer._replace(message=response.SerializeToString())


class Garbled(ClientEndpoint):
    """A server whose lists of leases cannot be read."""

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer:
        answer = await super().call(path, message, metadata)
        return answer._replace(message=b"\xff") if path.endswith("/LeaseLeases") else answer


def test_server_that_errs_is_found_out(runner: asyncio.Runner, members: Sequence[Member]) -> None:
    async def check() -> None:
        wrong, garbled = Wrong(members[0].client_url), Garbled(members[1].client_url)
        (case,) = (one for one in AREAS["keys"] if one.name == "keys/put_new")
        (result,) = await results([wrong], [case], HARMLESS)
        place = 'answer 2, KV.Range {"key": " ", "range_end": "~"}: reply'
        assert result.difference == f"{place}.count: 6 expected, 7 came"
        (case,) = (one for one in AREAS["leases"] if one.name == "leases/list")
        (result,) = await results([garbled], [case], HARMLESS)
        assert "Error parsing message" in str(result.difference)
        await wrong.close()
        await garbled.close()

    runner.run(check())


def test_case_that_cannot_go_on_has_failed(
    runner: asyncio.Runner, members: Sequence[Member]
) -> None:
    async def check() -> None:
        endpoint = ClientEndpoint(members[0].client_url)
        case = Case("keys/put", (setup("KV.Put"),))
        (result,) = await results([endpoint], [case], HARMLESS)
        assert str(result.difference).startswith("step 1, KV.Put {}: it failed")
        await endpoint.close()

    runner.run(check())
