"""Our own engine as the player's connection: the first answer counts, whatever it is."""

import asyncio
from collections.abc import Sequence

import pytest

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.errors import UsageError
from raftwerk.http2.client import Answer

PUT = "/etcdserverpb.KV/Put"


def test_call_stream_and_page(runner: asyncio.Runner, members: Sequence[Member]) -> None:
    async def talk() -> None:
        endpoint = ClientEndpoint(members[0].client_url)
        request = rpc_pb2.PutRequest(key=b"endpoint").SerializeToString()
        answer = await endpoint.call(PUT, request, (("hasleader", "true"),))
        assert rpc_pb2.PutResponse.FromString(answer.message).header.revision
        refusal = await endpoint.call(PUT, b"", ())
        assert (refusal.status, refusal.text) == (3, "etcdserver: key is not provided")
        stream = await endpoint.stream("/etcdserverpb.Watch/Watch", ())
        stream.send(b"\xff")
        ended = await stream.receive()
        assert isinstance(ended, Answer)
        assert ended.status == 13
        page = await endpoint.http("GET", "/health", b"")
        assert (page.status, page.content_type) == (200, "application/json")
        assert page.body == '{"health":"true","reason":""}'
        await endpoint.close()

    runner.run(talk())


def test_nobody_there_is_an_error(runner: asyncio.Runner) -> None:
    endpoint = ClientEndpoint("127.0.0.1:1")
    with pytest.raises(OSError):
        runner.run(endpoint.call(PUT, b"", ()))


def test_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError):
        ClientEndpoint("no port")
