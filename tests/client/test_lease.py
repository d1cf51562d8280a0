"""Leases: alive inside their block, over after it, and lost as soon as they may be."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from raftwerk.api import lease_pb2, status
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, LeaseLost, OutcomeUnknown
from raftwerk.client import lease as leases
from raftwerk.client.calls import Calls, OpenStream
from raftwerk.client.lease import Lease, machine_s
from raftwerk.errors import UsageError
from tests.client.lossy import lossy
from tests.client.scripted import HANG, closed_endpoint, scripted
from tests.conftest import StartCluster
from tests.waiting import pause


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


def test_keys_live_as_long_as_the_block(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.lease(60) as lease:
            await client.put(b"leased", b"x", lease=lease.id)
            found = await client.lease_time_to_live(lease.id, keys=True)
            assert (found.grantedTTL, list(found.keys)) == (60, [b"leased"])
            assert lease.id in await client.lease_list()
            assert not lease.is_lost
        assert await client.get(b"leased") is None
        assert (await client.lease_time_to_live(lease.id)).TTL == -1

    run(member, main)


def test_a_lease_is_renewed(member: Member) -> None:
    """It is renewed at a third of its time: after two thirds more is left than without it."""

    async def main(client: Client) -> None:
        async with client.lease(3) as lease:
            granted_s = asyncio.get_running_loop().time()
            left = lambda: asyncio.get_running_loop().time() - granted_s  # noqa: E731
            while left() < 1.5 * lease.ttl_s:
                assert (await client.lease_time_to_live(lease.id)).TTL >= 0
                await asyncio.to_thread(pause)
            assert not lease.is_lost

    run(member, main)


def test_a_lease_that_somebody_ends_is_lost(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.lease(3) as lease:
            await client.lease_revoke(lease.id)
            await lease.lost.wait()
            with pytest.raises(LeaseLost):
                lease.check()

    run(member, main)


def test_a_lease_is_lost_for_a_process_that_was_stopped_until_it_was_over(member: Member) -> None:
    """The loop has not run since. Others may have the lock, and who looks before he does something is told."""

    async def main(client: Client) -> None:
        async with client.lock(b"stopped", 60) as lock:
            assert lock.is_held
            lock.lease._over_s = machine_s()
            assert not lock.lease.lost.is_set()
            assert lock.lease.is_lost
            assert not lock.is_held
            with pytest.raises(LeaseLost):
                lock.lease.check()

    run(member, main)


def test_a_lease_goes_by_a_clock_that_goes_on_while_the_machine_is_suspended(
    member: Member,
) -> None:
    """That of an event loop stands still: a laptop, or a virtual machine, would have its locks when it wakes up."""
    assert leases.CLOCK == time.CLOCK_BOOTTIME
    assert time.clock_gettime(time.CLOCK_BOOTTIME) <= machine_s() + 0.001

    async def main(client: Client) -> None:
        async with client.lock(b"suspended", 60) as lock:
            lock.lease._time = lambda: machine_s() + 61
            assert not lock.is_held
            lock.lease._time = machine_s
            assert lock.is_held

    run(member, main)


def test_an_answer_that_comes_when_the_renewed_time_is_over_too_saves_nothing(
    member: Member,
) -> None:
    """The machine was suspended between the two."""

    async def main(client: Client) -> None:
        async with client.lease(3) as lease:
            until_asked = iter([machine_s()] * 2)  # it begins to renew the lease, and asks
            lease._time = lambda: next(until_asked, machine_s() + 4)
            await lease.lost.wait()
            assert lease.is_lost

    run(member, main)


def test_a_lease_that_was_there_before_is_kept_and_stays(member: Member) -> None:
    async def main(client: Client) -> None:
        granted = await client.lease_grant(60)
        async with client.keep_alive(granted.ID) as lease:
            assert (lease.id, lease.ttl_s, lease.is_lost) == (granted.ID, 60, False)
        assert await client.lease_keep_alive_once(granted.ID) == 60
        assert await client.lease_revoke(granted.ID)
        assert not await client.lease_revoke(granted.ID)
        with pytest.raises(LeaseLost):
            await client.lease_keep_alive_once(granted.ID)
        with pytest.raises(LeaseLost):
            async with client.keep_alive(granted.ID):
                pass

    run(member, main)


def test_id_of_no_lease_is_refused_before_anything_is_asked() -> None:
    client = Client([closed_endpoint()])
    with pytest.raises(UsageError, match="no lease has the id 0"):
        client.keep_alive(0)
    client.close()


def test_a_lease_whose_server_is_silent_is_lost(member: Member) -> None:
    """When the time is over it may have ended, whatever the servers do."""

    async def main(client: Client) -> None:
        assert member.process is not None
        async with client.lease(2) as lease:
            os.kill(member.process.pid, signal.SIGSTOP)
            try:
                await lease.lost.wait()
            finally:
                os.kill(member.process.pid, signal.SIGCONT)
            assert lease.is_lost

    run(member, main)


def test_a_grant_whose_answer_is_lost_is_asked_again_for_the_same_lease(member: Member) -> None:
    async def main(client: Client) -> None:
        before = set(await client.lease_list())
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as other:
            proxy.parts, proxy.losses = [b"LeaseGrant"], 1
            granted = await other.lease_grant(70)
            assert granted.TTL == 70
            assert set(await client.lease_list()) - before == {granted.ID}

    run(member, main)


def test_a_revocation_whose_answer_is_lost_is_done(member: Member) -> None:
    async def main(client: Client) -> None:
        granted = await client.lease_grant(70)
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as other:
            proxy.parts, proxy.losses = [b"LeaseRevoke"], 1
            await other.lease_revoke(granted.ID)
        assert (await client.lease_time_to_live(granted.ID)).TTL == -1

    run(member, main)


def test_a_grant_that_is_refused_fails() -> None:
    async def main() -> None:
        async with (
            scripted(status.LEASE_TTL_TOO_LARGE) as server,
            Client([server.endpoint]) as client,
        ):
            with pytest.raises(CallFailed):
                async with client.lease(10):
                    pass

    asyncio.run(main())


def test_what_the_servers_grant_counts() -> None:
    async def main() -> None:
        response = lease_pb2.LeaseGrantResponse(ID=7, TTL=90).SerializeToString()
        async with (
            scripted(response) as server,
            Client([server.endpoint]) as client,
            client.lease(1) as lease,
        ):
            assert (lease.id, lease.ttl_s) == (7, 90)

    asyncio.run(main())


def test_what_keeps_a_lease_from_being_renewed_is_known_as_long_as_it_does() -> None:
    async def main() -> None:
        granted = lease_pb2.LeaseGrantResponse(ID=7, TTL=60).SerializeToString()
        renewed = lease_pb2.LeaseKeepAliveResponse(ID=7, TTL=60).SerializeToString()
        async with (
            asyncio.timeout(30),
            scripted(granted, status.NO_LEADER, [renewed], b"") as server,
            Client([server.endpoint]) as client,
            client.lease(60),
        ):
            while not client.calls.trouble:
                await asyncio.sleep(0)
            assert client.calls.trouble == status.NO_LEADER.text
            while client.calls.trouble:
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_lease_outlives_its_server(start_cluster: StartCluster) -> None:
    cluster = start_cluster(3)

    async def main() -> None:
        urls = [member.client_url for member in cluster.members]
        async with asyncio.timeout(60), Client(urls) as client, client.lease(3) as lease:
            await asyncio.to_thread(cluster.kill, cluster.members[0])
            loop = asyncio.get_running_loop()
            end_s = loop.time() + 2 * lease.ttl_s
            while loop.time() < end_s:
                assert not lease.is_lost
                await client.lease_time_to_live(lease.id)
                await asyncio.to_thread(pause)

    asyncio.run(main())


class Unreachable:
    """A lease is granted; then no server can be reached, however often one is tried."""

    def __init__(self, error: Exception) -> None:
        self._calls = Calls([closed_endpoint()], timeout_s=0.1, exactly_once=False)
        self._error = error
        self.attempts = 0
        self.has_tried = asyncio.Event()

    async def unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if path != leases.GRANT:
            raise CallFailed(status.UNAVAILABLE, "unreachable")
        return lease_pb2.LeaseGrantResponse(ID=7, TTL=600)

    async def open(self, path: str) -> OpenStream:
        self.attempts += 1
        if self.attempts == 3:
            self.has_tried.set()
        raise self._error

    def __getattr__(self, name: str) -> Any:
        """All else is as it is."""
        return getattr(self._calls, name)


def test_a_lease_outlives_an_outage_that_is_shorter_than_its_time() -> None:
    """However long the client waits for one call: a lease is lost when its time is over, and not before."""

    async def main() -> None:
        calls = Unreachable(CallFailed(status.UNAVAILABLE, "unreachable"))
        async with Lease(cast("Calls", calls), 600) as lease:
            await calls.has_tried.wait()
            assert not lease.is_lost

    asyncio.run(main())


@pytest.mark.parametrize(
    "error", [CallFailed(*status.NOT_PERMITTED), ValueError("a bug")], ids=["refused", "bug"]
)
def test_a_lease_that_nobody_renews_any_more_is_lost(error: Exception) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with asyncio.timeout(30), Lease(cast("Calls", Unreachable(error)), 600) as lease:
            await lease.lost.wait()
            assert lease.is_lost

    asyncio.run(main())


@pytest.mark.parametrize(
    "action",
    [lambda client: client.lease_grant(60), lambda client: client.lease_revoke(7)],
    ids=["grant", "revoke"],
)
def test_a_lease_whose_change_is_not_answered_may_have_changed(
    action: Callable[[Client], Awaitable[object]],
) -> None:
    async def main() -> None:
        async with scripted(HANG) as server:
            client = Client([server.endpoint], timeout_s=0.3)
            with pytest.raises(OutcomeUnknown):
                await action(client)
            client.close()

    asyncio.run(main())
