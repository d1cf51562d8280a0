"""etcd-client-py: Rust's tonic. Prints what it saw (see tests/interop/test_clients.py)."""

import asyncio
import json
import sys

from etcd_client import (
    Client,
    Communicator,
    Compare,
    CompareOp,
    CondVar,
    EtcdLockOption,
    Txn,
    TxnOp,
    WatchEventType,
)


def text(data: object) -> str | None:
    return None if data is None else bytes(data).decode()


async def keys(client: Communicator) -> dict[str, object]:
    await client.put(b"k1", b"1")
    await client.put(b"k2", b"2")
    found, nothing = await client.get(b"k1"), await client.get(b"nothing")
    prefix = [text(value) for _, value in await client.get_prefix(b"k")]
    await client.delete_prefix(b"k")
    return {
        "get": text(found),
        "get of nothing": nothing,
        "prefix": prefix,
        "deleted": len(prefix) - len(await client.keys_prefix(b"k")),
    }


async def txn(client: Communicator) -> dict[str, object]:
    await client.put(b"t", b"old")
    outcomes = []
    for _ in range(2):
        request = (
            Txn()
            .when([Compare.value(b"t", CompareOp.EQUAL, b"old")])
            .and_then([TxnOp.put(b"t", b"new")])
            .or_else([TxnOp.get(b"t")])
        )
        succeeded = (await client.txn(request)).succeeded()
        outcomes.append([succeeded, None if succeeded else text(await client.get(b"t"))])
    return {"txn": outcomes}


async def watch(client: Communicator) -> dict[str, object]:
    ready = CondVar()
    seen: list[object] = []

    async def listen() -> None:
        async for event in client.watch(b"w", ready_event=ready):
            seen.append(
                ["PUT" if event.event == WatchEventType.PUT else "DELETE", text(event.value)]
            )
            if len(seen) == 3:
                return

    listening = asyncio.create_task(listen())
    await ready.wait()
    await client.put(b"w", b"1")
    await client.put(b"w", b"2")
    await client.delete(b"w")
    await listening
    return {"watch": seen}


async def lease(client: Communicator) -> dict[str, object]:
    """It does not tell the lease's id, so there is no more to be done with it; its locks have leases too."""
    return {"lease granted": await client.lease_grant(60)}


async def lock(etcd: Client) -> dict[str, object]:
    order: list[str] = []
    options = EtcdLockOption(lock_name=b"lock", timeout=20.0, ttl=60)
    is_held = asyncio.Event()
    may_end = asyncio.Event()

    async def first() -> None:
        async with etcd.with_lock(options):
            is_held.set()
            await may_end.wait()
            order.append("first")

    async def second() -> None:
        async with etcd.with_lock(options):
            order.append("second")

    one = asyncio.create_task(first())
    await is_held.wait()
    two = asyncio.create_task(second())
    await asyncio.wait([two], timeout=0.5)
    order.append("waits")
    may_end.set()
    await asyncio.gather(one, two)
    return {"lock order": order}


async def main(port: int) -> None:
    etcd = Client([f"http://127.0.0.1:{port}"])
    saw: dict[str, object] = {}
    async with etcd.connect() as client:
        for part in (keys, txn, watch, lease):
            saw |= await part(client)
    saw |= await lock(etcd)
    print(json.dumps(saw))


asyncio.run(main(int(sys.argv[1])))
