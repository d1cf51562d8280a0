"""Elections: one leader, known to all, and each new one seen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.client import Client, LeaseLost
from tests.client.lossy import lossy


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


def test_the_leader_is_known(member: Member) -> None:
    async def main(client: Client) -> None:
        election = client.election(b"boss")
        assert await election.leader() is None
        async with election.campaign(b"me") as leadership:
            leader = await election.leader()
            assert leader is not None
            assert (leader.key, leader.value) == (leadership.key, b"me")
            assert leader.create_revision == leadership.revision
            await leadership.proclaim(b"still me")
            leader = await election.leader()
            assert leader is not None
            assert leader.value == b"still me"
        assert await election.leader() is None

    run(member, main)


def test_each_new_leader_is_seen(member: Member) -> None:
    async def main(client: Client) -> None:
        election = client.election(b"seen")
        leaders = election.observe()
        for name in (b"a", b"b"):
            async with election.campaign(name) as leadership:
                assert (await anext(leaders)).value == name
                await leadership.proclaim(name + b"!")
                assert (await anext(leaders)).value == name + b"!"

    run(member, main)


def test_whoever_does_not_lead_proclaims_nothing(member: Member) -> None:
    """Also before that is noticed, or where it cannot be."""

    async def main(client: Client) -> None:
        async with client.election(b"gone").campaign(b"me") as leadership:
            for guard in leadership._guards:
                guard.cancel()
            await client.delete(leadership.key)
            with pytest.raises(LeaseLost):
                await leadership.proclaim(b"me")
            assert await client.get(leadership.key) is None

    run(member, main)


def test_whoever_observes_looks_again_when_the_past_is_compacted(member: Member) -> None:
    async def main(client: Client) -> None:
        async with (
            lossy(member.client_port) as proxy,
            Client([proxy.endpoint]) as other,
            client.election(b"observed").campaign(b"me") as leadership,
        ):
            leaders = other.election(b"observed").observe()
            assert (await anext(leaders)).value == b"me"
            following = asyncio.ensure_future(anext(leaders))
            for _ in range(5):
                revision = (await client.put(b"elsewhere", b"")).header.revision
            await client.compact(revision)
            await proxy.end()
            await leadership.proclaim(b"still me")
            assert (await following).value == b"still me"

    run(member, main)
