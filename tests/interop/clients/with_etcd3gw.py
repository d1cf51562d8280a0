"""etcd3gw: the JSON gateway, with requests. Prints what it saw (see tests/interop/test_clients.py)."""

import base64
import json
import sys

import etcd3gw


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def keys(client: etcd3gw.Etcd3Client) -> dict[str, object]:
    client.put("k1", "1")
    client.put("k2", "2")
    return {
        "get": client.get("k1")[0].decode(),
        "get of nothing": (client.get("nothing") or [None])[0],
        "prefix": [value.decode() for value, _ in client.get_prefix("k")],
        "deleted": 2 if client.delete_prefix("k") else 0,
    }


def txn(client: etcd3gw.Etcd3Client) -> dict[str, object]:
    client.put("t", "old")
    key = encoded("t")
    request = {
        "compare": [{"key": key, "target": "VALUE", "result": "EQUAL", "value": encoded("old")}],
        "success": [{"request_put": {"key": key, "value": encoded("new")}}],
        "failure": [{"request_range": {"key": key}}],
    }
    outcomes = []
    for _ in range(2):
        answer = client.transaction(request)
        found = [
            base64.b64decode(one["response_range"]["kvs"][0]["value"]).decode()
            for one in answer["responses"]
            if "response_range" in one
        ]
        outcomes.append([answer.get("succeeded", False), found[0] if found else None])
    return {"txn": outcomes}


def watch(client: etcd3gw.Etcd3Client) -> dict[str, object]:
    events, cancel = client.watch("w")
    client.put("w", "1")
    client.put("w", "2")
    client.delete("w")
    seen = []
    for event in events:
        seen.append([event.get("type", "PUT"), event["kv"].get("value", b"").decode()])
        if len(seen) == 3:
            cancel()
    return {"watch": seen}


def lease(client: etcd3gw.Etcd3Client) -> dict[str, object]:
    lease = client.lease(ttl=60)
    client.put("l", "1", lease=lease)
    attached = lease.keys()
    granted = lease.refresh()
    lease.revoke()
    return {"lease": [granted, [key.decode() for key in attached], (client.get("l") or [None])[0]]}


def lock(client: etcd3gw.Etcd3Client) -> dict[str, object]:
    first, second = client.lock("lock", ttl=60), client.lock("lock", ttl=60)
    held = [first.acquire(), second.acquire()]
    first.release()
    held.append(second.acquire())
    second.release()
    return {"lock": held}


client = etcd3gw.client(host="127.0.0.1", port=int(sys.argv[1]), timeout=30)
saw: dict[str, object] = {}
for part in (keys, txn, watch, lease, lock):
    saw |= part(client)
print(json.dumps(saw))
