"""aetcd: grpcio's asyncio side. Prints what it saw (see tests/interop/test_clients.py)."""

import asyncio
import json
import sys

import aetcd


async def keys(client: aetcd.Client) -> dict[str, object]:
    await client.put(b"k1", b"1")
    await client.put(b"k2", b"2")
    found = await client.get(b"k1")
    nothing = await client.get(b"nothing")
    prefix = await client.get_prefix(b"k")
    deleted = await client.delete_prefix(b"k")
    return {
        "get": found.value.decode(),
        "get of nothing": nothing,
        "prefix": [one.value.decode() for one in prefix],
        "deleted": len(deleted.prev_kvs) or deleted.deleted,
    }


async def txn(client: aetcd.Client) -> dict[str, object]:
    kit = client.transactions
    await client.put(b"t", b"old")
    outcomes = []
    for _ in range(2):
        succeeded, answers = await client.transaction(
            compare=[kit.value(b"t") == b"old"],
            success=[kit.put(b"t", b"new")],
            failure=[kit.get(b"t")],
        )
        outcomes.append([succeeded, None if succeeded else answers[0][0][0].decode()])
    return {"txn": outcomes}


async def watch(client: aetcd.Client) -> dict[str, object]:
    watching = await client.watch(b"w")
    await client.put(b"w", b"1")
    await client.put(b"w", b"2")
    await client.delete(b"w")
    seen = []
    async for event in watching:
        seen.append([str(event.kind), event.kv.value.decode()])
        if len(seen) == 3:
            break
    await watching.cancel()
    return {"watch": seen}


async def lease(client: aetcd.Client) -> dict[str, object]:
    lease = await client.lease(60)
    await client.put(b"l", b"1", lease=lease)
    info = await client.get_lease_info(lease.id)
    await lease.refresh()
    await lease.revoke()
    gone = await client.get(b"l")
    return {"lease": [info.grantedTTL, [key.decode() for key in info.keys], gone]}


async def lock(client: aetcd.Client) -> dict[str, object]:
    first, second = client.lock(b"lock", ttl=60), client.lock(b"lock", ttl=60)
    held = [await first.acquire(timeout=5), await second.acquire(timeout=0)]
    await first.release()
    held.append(await second.acquire(timeout=5))
    await second.release()
    return {"lock": held}


async def main(port: int) -> None:
    saw: dict[str, object] = {}
    async with aetcd.Client("127.0.0.1", port) as client:
        for part in (keys, txn, watch, lease, lock):
            saw |= await part(client)
    print(json.dumps(saw))


asyncio.run(main(int(sys.argv[1])))
