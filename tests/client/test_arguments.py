"""What callers pass wrongly is one clear error, before anything is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from raftwerk.api.rpc_pb2 import PutRequest, PutResponse
from raftwerk.client import Client, arguments, txn
from raftwerk.client.lease import Lease
from raftwerk.errors import UsageError
from tests.client.scripted import closed_endpoint

LEASE = Lease.__new__(Lease)


async def scan(client: Any, *args: Any, **options: Any) -> None:
    async for _ in client.scan(*args, **options):
        pass


async def enter(block: Any) -> None:
    async with block:
        pass


CALLS: dict[str, tuple[str, Callable[[Any], Awaitable[object]]]] = {
    "key of put": (r"key is bytes, not 'a': text\.encode\(\)", lambda c: c.put("a", b"b")),
    "value of put": (r"value is bytes, not 'b': text\.encode\(\)", lambda c: c.put(b"a", "b")),
    "no value": ("value is bytes, not None", lambda c: c.put(b"a", None)),
    "bytearray": (r"value is bytes, not bytearray\(b'x'\)", lambda c: c.put(b"a", bytearray(b"x"))),
    "lease of put": (
        "lease is the id of a lease, as lease.id, not of type Lease$",
        lambda c: c.put(b"a", b"b", lease=LEASE),
    ),
    "lease of 65 bits": ("lease is the id of", lambda c: c.put(b"a", b"b", lease=2**64)),
    "no key": ("key is bytes, not None", lambda c: c.get(None)),
    "key of get": ("key is bytes, not 7", lambda c: c.get(7)),
    "key of scan": ("key is bytes, not 'a'", lambda c: scan(c, "a")),
    "prefix of scan": ("key is bytes, not 'a'", lambda c: scan(c, "a", prefix=True)),
    "two ranges": ("not by both", lambda c: scan(c, b"a", b"b", prefix=True)),
    "prefix of delete": ("not by both", lambda c: c.delete(b"a", b"b", prefix=True)),
    "count": ("range_end is bytes, not 1", lambda c: c.count(b"a", 1)),
    "watch": ("start_revision is a whole", lambda c: enter(c.watch(b"a", start_revision="1"))),
    "compact": ("revision is a whole number of 64 bits, not '1'", lambda c: c.compact("1")),
    "revoke": ("lease_id is the id of a lease, as lease.id, not", lambda c: c.lease_revoke(LEASE)),
    "ttl": (r"ttl_s is a whole number of seconds, not 1\.5", lambda c: c.lease_grant(1.5)),
    "lock": ("the name of a lock is bytes, not 'a'", lambda c: enter(c.lock("a"))),
    "leader": ("value is bytes, not 'me'", lambda c: enter(c.election(b"a").campaign("me"))),
    "wait": ("wait_s is a number of seconds, not '1'", lambda c: enter(c.lock(b"a", wait_s="1"))),
    "election": ("the name of an election is bytes, not 'a'", lambda c: c.election("a").leader()),
    "no lease": ("lease_id is the id of a lease", lambda c: enter(c.keep_alive(None))),
    "range": ("request is a RangeRequest, not of type PutRequest", lambda c: c.range(PutRequest())),
    "transaction": ("a TxnRequest, not of type Client", lambda c: c.txn(c.transaction())),
    "no password": (
        "password is text, not None",
        lambda c: c.auth.user_change_password("ada", None),
    ),
    "user": ("name is text, not 7", lambda c: c.auth.user_add(7, "secret")),
    "no role": ("role is text, not None", lambda c: c.auth.user_grant_role("ada", None)),
    "member": ("member_id is the id of a member, as", lambda c: c.members.remove("1f")),
    "no member": ("member_id is the id of", lambda c: c.maintenance.move_leader(None)),
    "URLs": ("peer_urls is a list of texts, not 7", lambda c: c.members.add(7)),
    "one URL": ("is a list of texts, not 'http", lambda c: c.members.add("http://h:1")),
    "one new URL": ("is a list of texts, not 'http", lambda c: c.members.update(1, "http://h:1")),
    "learner": ("is_learner is True", lambda c: c.members.add(["http://h:1"], is_learner="no")),
    "alarm": ("alarm is one of those", lambda c: c.maintenance.disarm("NOSPACE")),
    "user of a role": ("name is text", lambda c: c.auth.user_grant_role(7, "auditor")),
    "role that is had": ("name is text", lambda c: c.auth.role_permissions(7)),
    "role that goes": ("name is text", lambda c: c.auth.role_delete(7)),
    "permission": ("kind is READ, .*, not 'read'", lambda c: c.auth.role_grant("r", "read", b"a")),
    "revoked role": ("name is text", lambda c: c.auth.role_revoke(7, b"a")),
    "time": (
        "timeout_s is a number of seconds, not '5'",
        lambda c: Client(["h:1"], timeout_s="5").get(b""),  # type: ignore[arg-type]
    ),
    "credentials": (
        r'two texts: \("ada", "secret"\)$',
        lambda c: Client(["h:1"], credentials="ab").get(b""),
    ),  # type: ignore[arg-type]
    "three credentials": (
        "^credentials are name and password",
        lambda c: Client(["h:1"], credentials=("a", "b", "c")).get(b""),  # type: ignore[arg-type]
    ),
}
PARTS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "no comparison": ("when takes comparisons", lambda t: t.when(txn.value(b"a"))),
    "==": ("when takes .* == makes none", lambda t: t.when(txn.value(b"a") == b"x")),
    "then": ("then and otherwise take put", lambda t: t.then(b"a")),
    "otherwise": (r"take put.* operation\(\)", lambda t: t.otherwise(txn.Transaction())),
    "number": ("value is bytes, not 1", lambda t: txn.value(b"a").equals(1)),
    "text": ("version is a whole number of 64 bits", lambda t: txn.version(b"a").is_above(b"")),
    "compared key": ("key is bytes", lambda t: txn.created("a").equals(0)),  # type: ignore[arg-type]
    "put": ("value is bytes", lambda t: txn.put(b"a", "b")),  # type: ignore[arg-type]
    "lease": ("lease is the id", lambda t: txn.put(b"a", b"b", lease=LEASE)),  # type: ignore[arg-type]
    "get": ("limit is a whole number", lambda t: txn.get(b"a", limit=b"")),  # type: ignore[arg-type]
    "delete": ("not by both", lambda t: txn.delete(b"a", b"b", prefix=True)),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_the_wrong_type_is_named(name: str) -> None:
    told, call = CALLS[name]

    async def main() -> None:
        async with Client([closed_endpoint()], timeout_s=0.2, exactly_once=False) as client:
            with pytest.raises(UsageError, match=told):
                await call(client)

    asyncio.run(main())


@pytest.mark.parametrize("name", PARTS)
def test_what_is_no_part_of_a_transaction_is_told(name: str) -> None:
    told, make = PARTS[name]
    transaction = txn.Transaction()
    with pytest.raises(UsageError, match=told):
        make(transaction)
    assert transaction.request == txn.Transaction().request


@pytest.mark.parametrize("value_bytes", [1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x4001])
@pytest.mark.parametrize("key_bytes", [1, 0x7F, 0x80, 0x3FFF, 0x4000])
def test_plain_put_is_what_protobuf_makes_of_it(key_bytes: int, value_bytes: int) -> None:
    key, value = b"k" * key_bytes, b"v" * value_bytes
    made = arguments.plain_put(key, value, 0)
    assert (made is None) == (max(key_bytes, value_bytes) >= 0x4000)
    assert made in (None, PutRequest(key=key, value=value).SerializeToString())


class SomeBytes(bytes):
    pass


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"v"),
        (b"k", b""),
        ("k", b"v"),
        (b"k", None),
        (bytearray(b"k"), b"v"),
        (SomeBytes(b"k"), b"v"),
    ],
    ids=repr,
)
def test_all_else_is_left_to_protobuf(key: object, value: object) -> None:
    assert arguments.plain_put(key, value, 0) is None


@pytest.mark.parametrize(
    "lease", [1, -1, 0.0, False, None, LEASE], ids=lambda it: type(it).__name__
)
def test_so_is_a_lease_and_what_is_none(lease: object) -> None:
    assert arguments.plain_put(b"k", b"v", lease) is None


OPTIONS: list[dict[str, Any]] = [
    {},
    {"lease": 7},
    {"prev_kv": True},
    {"ignore_value": True},
    {"ignore_lease": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_request_of_a_put_has_each_option(options: dict[str, Any]) -> None:
    sent: list[bytes] = []

    async def unary(path: str, message: bytes, *_: object, **__: object) -> PutResponse:
        sent.append(message)
        return PutResponse()

    client = Client([closed_endpoint()])
    client.calls = SimpleNamespace(unary=unary)  # type: ignore[assignment]
    asyncio.run(client.put(b"k", b"v", **options))
    assert sent == [PutRequest(key=b"k", value=b"v", **options).SerializeToString()]
