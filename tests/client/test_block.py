"""Locks, leaderships, leases and watches without their block: told, and never taken for had."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raftwerk.client import Client
from raftwerk.client.block import Block
from raftwerk.errors import UsageError
from tests.client.scripted import closed_endpoint

MAKE: dict[str, Callable[[Client], Any]] = {
    "lock": lambda client: client.lock(b"name"),
    "campaign": lambda client: client.election(b"name").campaign(b"me"),
    "lease": lambda client: client.lease(10),
    "keep_alive": lambda client: client.keep_alive(7),
    "watch": lambda client: client.watch(b"key"),
}
with_each = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def run(main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([closed_endpoint()], timeout_s=0.1) as client:
            await main(client)

    asyncio.run(with_client())


@with_each
def test_one_that_is_dropped_is_warned_of_at_the_line_that_made_it(
    make: Callable[[Client], Block],
) -> None:
    async def main(client: Client) -> None:
        told = r"^never entered: .* block: async with client\."
        with pytest.warns(RuntimeWarning, match=told) as warned:
            make(client)
        assert [one.filename for one in warned] == [__file__]

    run(main)


@with_each
def test_one_that_is_awaited_is_one_clear_error(make: Callable[[Client], Any]) -> None:
    """Warnings are errors in tests: there is none beside it."""

    async def main(client: Client) -> None:
        with pytest.raises(UsageError, match=r"inside .* block: async with client\."):
            await make(client)
        gc.collect()

    run(main)


@with_each
def test_one_that_cannot_be_entered_is_told_once(make: Callable[[Client], Any]) -> None:
    async def main(client: Client) -> None:
        client.close()
        with pytest.raises(UsageError, match=r"^the client is closed$"):
            async with make(client):
                pass
        gc.collect()

    run(main)


def test_a_watch_that_is_read_without_its_block_is_one_clear_error() -> None:
    async def main(client: Client) -> None:
        with pytest.raises(UsageError, match="a watch is read inside its block: async with"):
            async for _ in client.watch(b"key"):
                pass
        gc.collect()

    run(main)


@pytest.mark.parametrize(
    "use",
    [
        lambda lease: client_put(lease.id),
        lambda lease: lease.is_lost,
        lambda lease: lease.check(),
        lambda lease: lease.lost,
    ],
    ids=["id", "is_lost", "check", "lost"],
)
def test_a_lease_that_was_not_entered_has_nothing_to_use(use: Callable[[Any], object]) -> None:
    """A key with a lease of 0 would stay for ever; the end of none would be waited for without one."""

    async def main(client: Client) -> None:
        with pytest.raises(UsageError, match="a lease is kept alive, and has an id, inside its"):
            use(client.lease(10))
        gc.collect()

    run(main)


def client_put(lease_id: int) -> None:
    pytest.fail(f"a key would be put with lease {lease_id}")


def test_whoever_has_not_campaigned_has_nothing_to_say() -> None:
    async def main(client: Client) -> None:
        leadership = client.election(b"boss").campaign(b"me")
        assert not leadership.is_held
        with pytest.raises(UsageError, match="one leads inside the block"):
            await leadership.proclaim(b"me")

    run(main)


@pytest.mark.parametrize("name", ["lock", "campaign", "lease", "keep_alive"])
def test_nothing_is_had_twice(name: str) -> None:
    async def main(client: Client) -> None:
        client.close()
        block = MAKE[name](client)
        for told in ("the client is closed", "a second time: call the method again"):
            with pytest.raises(UsageError, match=f"^{told}"):
                async with block:
                    pass

    run(main)
