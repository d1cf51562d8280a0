"""Tokens: fetched once, sent with every call, fetched again when they are refused."""

import asyncio

import pytest

from raftwerk.api import auth_rpc_pb2, status
from raftwerk.client import CallFailed, Client
from raftwerk.client.credentials import REFUSALS
from tests.client.scripted import OK, scripted

AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"
PUT = "/etcdserverpb.KV/Put"
TOKEN = auth_rpc_pb2.AuthenticateResponse(token="abc.1").SerializeToString()
LOGIN = ("root", "secret")


async def put_twice(*steps: bytes | status.Status) -> list[str]:
    async with scripted(*steps) as server:
        client = Client([server.endpoint], credentials=LOGIN, exactly_once=False, timeout_s=5)
        try:
            await client.put(b"a", b"")
            await client.put(b"b", b"")
        finally:
            client.close()
        return server.paths


def test_a_token_is_fetched_once() -> None:
    assert asyncio.run(put_twice(TOKEN, OK)) == [AUTHENTICATE, PUT, PUT]


@pytest.mark.parametrize("text", sorted(REFUSALS))
def test_a_token_that_is_refused_is_replaced(text: str) -> None:
    refusal = status.Status(16, text)
    paths = asyncio.run(put_twice(TOKEN, refusal, TOKEN, OK))
    assert paths == [AUTHENTICATE, PUT, AUTHENTICATE, PUT, PUT]


def test_tokens_are_not_fetched_for_ever() -> None:
    refusal = status.Status(16, "etcdserver: invalid auth token")
    with pytest.raises(CallFailed, match="invalid auth token"):
        asyncio.run(put_twice(*[TOKEN, refusal] * 9))


def test_servers_that_want_no_token_get_none() -> None:
    off = status.Status(9, "etcdserver: authentication is not enabled")
    assert asyncio.run(put_twice(off, OK)) == [AUTHENTICATE, PUT, PUT]


def test_a_wrong_password_fails_the_call() -> None:
    text = "etcdserver: authentication failed, invalid user ID or password"
    with pytest.raises(CallFailed, match="invalid user ID"):
        asyncio.run(put_twice(status.Status(3, text)))
