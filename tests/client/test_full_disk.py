"""Members that have no space: each is asked once, and the refusal is told as it is."""

import asyncio

import pytest

from raftwerk.api import status
from raftwerk.client import CallFailed, Client
from raftwerk.client.calls import OPEN_SESSION
from tests.client.scripted import OK, scripted

PUT = "/etcdserverpb.KV/Put"


def test_a_write_leaves_a_member_whose_disk_is_full() -> None:
    """It was not done there for sure. If no endpoint has space, each is asked once."""

    async def main() -> None:
        full = status.NO_SPACE
        async with scripted(full) as first, scripted(OK) as second, scripted(full) as third:
            for exactly_once in (False, True):
                endpoints = [first.endpoint, third.endpoint, second.endpoint]
                async with Client(endpoints, exactly_once=exactly_once) as client:
                    await client.put(b"key", b"value")
                    await client.put(b"key", b"value")
            assert first.paths == third.paths == [PUT, OPEN_SESSION]
            async with Client([first.endpoint, third.endpoint], exactly_once=False) as client:
                with pytest.raises(CallFailed, match=full.text):
                    await client.put(b"key", b"value")
            assert first.paths == third.paths == [PUT, OPEN_SESSION, PUT]

    asyncio.run(main())


@pytest.mark.parametrize("exactly_once", [False, True])
def test_many_writers_ask_each_endpoint_once_while_an_alarm_is_raised(exactly_once: bool) -> None:
    """With a session: nobody can open one, and all who want it share the attempt. Each is told the refusal itself."""
    writers, full = 100, status.NO_SPACE

    async def main() -> None:
        async with scripted(full) as first, scripted(full) as second, scripted(full) as third:
            servers = (first, second, third)
            endpoints = [server.endpoint for server in servers]
            async with Client(endpoints, exactly_once=exactly_once) as client:
                puts = (client.put(b"key", b"value") for _ in range(writers))
                refused = await asyncio.gather(*puts, return_exceptions=True)
            assert {(type(one), str(one)) for one in refused} == {(CallFailed, full.text)}
            calls = 1 if exactly_once else writers
            assert [len(server.paths) for server in servers] == [calls] * 3

    asyncio.run(main())
