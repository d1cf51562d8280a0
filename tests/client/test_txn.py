"""Transactions put together, on real servers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.client import Client
from raftwerk.client.txn import (
    Operand,
    Transaction,
    created,
    delete,
    get,
    lease_of,
    modified,
    put,
    value,
    version,
)


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


def test_the_branch_that_is_taken_answers(member: Member) -> None:
    async def main(client: Client) -> None:
        await client.delete(b"txn", prefix=True)
        transaction = client.transaction().when(version(b"txn").equals(0))
        transaction.then(put(b"txn", b"1"), get(b"txn")).otherwise(delete(b"txn", prev_kv=True))
        first, second = await transaction.commit(), await transaction.commit()
        assert first.succeeded
        read = first.responses[1]
        assert isinstance(read, rpc_pb2.RangeResponse)
        assert read.kvs[0].value == b"1"
        assert not second.succeeded
        (deleted,) = second.responses
        assert isinstance(deleted, rpc_pb2.DeleteRangeResponse)
        assert deleted.prev_kvs[0].value == b"1"
        assert second.revision == first.revision + 1

    run(member, main)


TARGETS: dict[str, tuple[Callable[[bytes], Operand], int | bytes, int | bytes]] = {
    "value": (value, b"2", b"3"),
    "version": (version, 2, 3),
    "lease": (lease_of, 0, 1),
}


@pytest.mark.parametrize(("operand", "same", "above"), TARGETS.values(), ids=TARGETS)
def test_comparisons(
    member: Member, operand: Callable[[bytes], Operand], same: int | bytes, above: int | bytes
) -> None:
    async def main(client: Client) -> None:
        await client.delete(b"cmp")
        await client.put(b"cmp", b"1")
        await client.put(b"cmp", b"2")
        one = operand(b"cmp")
        holds = [one.equals(same), one.is_below(above), one.differs_from(above)]
        fails = [one.equals(above), one.is_above(same), one.is_below(same), one.differs_from(same)]
        assert (await client.transaction().when(*holds).commit()).succeeded
        for compare in fails:
            assert not (await client.transaction().when(compare).commit()).succeeded

    run(member, main)


def test_revisions_of_a_key(member: Member) -> None:
    async def main(client: Client) -> None:
        await client.delete(b"rev")
        first = (await client.put(b"rev", b"1")).header.revision
        second = (await client.put(b"rev", b"2")).header.revision
        transaction = client.transaction()
        transaction.when(created(b"rev").equals(first), modified(b"rev").equals(second))
        assert (await transaction.commit()).succeeded

    run(member, main)


def test_a_transaction_in_another(member: Member) -> None:
    async def main(client: Client) -> None:
        inner = Transaction().then(put(b"nested", b"1"))
        result = await client.transaction().then(inner.operation()).commit()
        (answer,) = result.responses
        assert isinstance(answer, rpc_pb2.TxnResponse)
        assert answer.succeeded
        assert await client.get(b"nested") == b"1"

    run(member, main)


def test_a_range_compares_every_key(member: Member) -> None:
    async def main(client: Client) -> None:
        await client.delete(b"all/", prefix=True)
        await client.put(b"all/1", b"")
        await client.put(b"all/2", b"")
        compare = version(b"all/", b"all0").equals(1)
        assert (await client.transaction().when(compare).commit()).succeeded
        await client.put(b"all/2", b"")
        assert not (await client.transaction().when(compare).commit()).succeeded

    run(member, main)
