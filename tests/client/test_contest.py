"""Locks: one holder at a time, in order; and whoever loses its lease is stopped."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftwerk.cli.cluster import Member
from raftwerk.client import Client, LeaseLost
from raftwerk.client.contest import Contest, Lock
from tests.client.lossy import lossy


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


def test_one_holds_a_lock_at_a_time(member: Member) -> None:
    holders: list[int] = []
    tokens: list[int] = []

    async def main(client: Client) -> None:
        async def work(number: int) -> None:
            async with client.lock(b"lock") as lock:
                holders.append(number)
                tokens.append(lock.revision)
                await client.put(b"work", b"%d" % number)
                assert holders[-1] == number
                assert lock.is_held
            assert not lock.is_held

        await asyncio.gather(*(work(number) for number in range(6)))
        assert sorted(holders) == list(range(6))
        assert tokens == sorted(tokens), "who comes first has it first"
        assert await client.count(b"lock/", prefix=True) == 0

    run(member, main)


def test_locks_of_other_names_are_free(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.lock(b"one"), client.lock(b"two") as second:
            assert second.is_held

    run(member, main)


async def hold_in_vain(client: Client, lose: Callable[[Contest], Awaitable[object]]) -> None:
    """For longer than any test may take, and would if only the next renewal told."""
    async with client.lock(b"lost", ttl_s=600) as lock:
        try:
            await lose(lock)
            await asyncio.Event().wait()
        finally:
            assert not lock.is_held


def test_whoever_loses_the_lease_is_stopped(member: Member) -> None:
    async def main(client: Client) -> None:
        with pytest.raises(LeaseLost, match=r"^lock lost is lost: .*lease [0-9a-f]+ is over$"):
            await hold_in_vain(client, lambda lock: client.lease_revoke(lock.lease.id))
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    run(member, main)


def test_whoever_loses_the_key_is_stopped(member: Member) -> None:
    leases: list[int] = []

    async def main(client: Client) -> None:
        def lose(lock: Contest) -> Awaitable[object]:
            leases.append(lock.lease.id)
            return client.delete(lock.key)

        told = r"^lock lost is lost: its key lost/[0-9a-f]+ was deleted, or"
        with pytest.raises(LeaseLost, match=told):
            await hold_in_vain(client, lose)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        assert leases[0] not in await client.lease_list(), "it is given back"

    run(member, main)


def test_who_cleans_up_after_one_loss_is_not_stopped_by_the_other(member: Member) -> None:
    cleaned: list[bool] = []

    async def hold(client: Client) -> None:
        async with client.lock(b"lost", ttl_s=600) as lock:
            try:
                await client.delete(lock.key)  # its answer may come after the loss
                await asyncio.Event().wait()
            finally:
                lock.lease.lost.set()
                for _ in range(5):
                    await asyncio.sleep(0)
                cleaned.append(True)

    async def main(client: Client) -> None:
        with pytest.raises(LeaseLost):
            await hold(client)
        assert cleaned

    run(member, main)


def test_whoever_leads_and_loses_the_key_is_stopped(member: Member) -> None:
    """What is proclaimed is no loss."""

    async def lead(client: Client) -> None:
        async with client.election(b"boss").campaign(b"me", ttl_s=600) as leadership:
            await leadership.proclaim(b"me, still")
            assert leadership.is_held
            await client.delete(leadership.key)
            await asyncio.Event().wait()

    async def main(client: Client) -> None:
        with pytest.raises(LeaseLost, match=r"^leadership of boss is lost: its key boss/"):
            await lead(client)

    run(member, main)


def test_a_key_is_missed_whose_deletion_is_compacted(member: Member) -> None:
    """The watch of the holder breaks meanwhile, and cannot go on from where it was."""

    async def main(client: Client) -> None:
        async def lose(lock: Contest) -> None:
            proxy.lets_through.clear()
            await client.delete(lock.key)
            for _ in range(5):
                revision = (await client.put(b"elsewhere", b"")).header.revision
            await client.compact(revision)
            await proxy.end()
            proxy.lets_through.set()

        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as other:
            with pytest.raises(LeaseLost, match=r"its key .* was deleted"):
                await hold_in_vain(other, lose)

    run(member, main)


def test_whoever_loses_the_lease_while_waiting_is_told(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.lock(b"wait"):
            second = client.lock(b"wait", ttl_s=2)
            waiting = asyncio.create_task(enter(second))
            while await client.count(b"wait/", prefix=True) < 2:
                await asyncio.sleep(0)
            await client.lease_revoke(second.lease.id)
            with pytest.raises(LeaseLost):
                await waiting

    run(member, main)


async def enter(lock: Lock) -> None:
    async with lock:
        pass


def test_whoever_stops_waiting_leaves_the_queue(member: Member) -> None:
    async def main(client: Client) -> None:
        async with client.lock(b"queue"):
            waiting = asyncio.create_task(enter(client.lock(b"queue")))
            while await client.count(b"queue/", prefix=True) < 2:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await client.count(b"queue/", prefix=True) == 1

    run(member, main)


@pytest.mark.parametrize("wait_s", [0, 0.05])
def test_whoever_has_not_the_time_to_wait_is_told_and_leaves_the_queue(
    member: Member, wait_s: float
) -> None:
    async def main(client: Client) -> None:
        async with client.lock(b"queue", wait_s=wait_s):
            with pytest.raises(TimeoutError, match=f"^lock queue was not free within {wait_s} s$"):
                await enter(client.lock(b"queue", wait_s=wait_s))
            assert await client.count(b"queue/", prefix=True) == 1
        async with client.lock(b"queue", wait_s=wait_s) as lock:
            is_over = asyncio.Event()
            asyncio.get_running_loop().call_later(2 * wait_s, is_over.set)
            await is_over.wait()
            assert lock.is_held, "the time is that of waiting"

    run(member, main)


def test_who_leads_may_be_waited_for_a_while(member: Member) -> None:
    async def main(client: Client) -> None:
        election = client.election(b"boss")
        async with election.campaign(b"first"):
            with pytest.raises(TimeoutError, match="leadership of boss was not free within 0 s"):
                async with election.campaign(b"second", wait_s=0):
                    pass
        async with election.campaign(b"second", wait_s=0) as leadership:
            assert leadership.is_held

    run(member, main)


def test_an_error_inside_frees_the_lock(member: Member) -> None:
    async def main(client: Client) -> None:
        with pytest.raises(ZeroDivisionError):
            async with client.lock(b"error"):
                raise ZeroDivisionError
        assert await client.count(b"error/", prefix=True) == 0

    run(member, main)


def test_whoever_waits_looks_again_when_the_past_is_compacted(member: Member) -> None:
    """The watch on the holder's key breaks, and cannot go on from where it was."""

    async def main(client: Client) -> None:
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as other:
            async with client.lock(b"compacted"):
                waiting = asyncio.create_task(enter(other.lock(b"compacted")))
                while await client.count(b"compacted/", prefix=True) < 2:
                    await asyncio.sleep(0)
                for _ in range(5):
                    revision = (await client.put(b"elsewhere", b"")).header.revision
                await client.compact(revision)
                await proxy.end()
            await waiting
        assert await client.count(b"compacted/", prefix=True) == 0

    run(member, main)
