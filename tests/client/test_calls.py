"""A write that is sent again is done once, where the servers know sessions; elsewhere its fate is told as it is."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from raftwerk.api import rpc_pb2, status
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, OutcomeUnknown
from raftwerk.client.calls import OPEN_SESSION
from raftwerk.client.txn import get, put, version
from raftwerk.errors import UsageError
from tests.client.lossy import lossy
from tests.client.scripted import HANG, OK, SESSION, Step, closed_endpoint, mute, scripted, severed

PUT = "/etcdserverpb.KV/Put"

WRITES: dict[str, Callable[[Client], Awaitable[object]]] = {
    "put": lambda client: client.put(b"once", b"new"),
    "delete": lambda client: client.delete(b"once"),
    "txn": lambda client: client.transaction().then(put(b"once", b"new")).commit(),
}


def is_ours(member: Member) -> bool:
    return member.process is not None and "raftwerk.cli" in cast("list[str]", member.process.args)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_whose_answers_are_lost_is_done_once(
    member: Member, write: Callable[[Client], Awaitable[object]]
) -> None:
    """With raftwerk. With etcd it is done or not, and the client says that it does not know."""

    async def main() -> None:
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as client:
            before = (await client.put(b"once", b"old")).header.revision
            proxy.losses = 3
            if client.has_exactly_once:
                await write(client)
                assert proxy.losses == 0
            else:
                with pytest.raises(OutcomeUnknown):
                    await write(client)
                proxy.losses = 0
            assert (await client.status()).header.revision == before + 1
            assert client.has_exactly_once == is_ours(member)

    asyncio.run(main())


def test_a_result_that_is_sent_again_is_the_first_one(member: Member) -> None:
    async def main() -> None:
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as client:
            await client.delete(b"first")
            if not client.has_exactly_once:
                return
            proxy.losses = 1
            transaction = client.transaction().when(version(b"first").equals(0))
            result = await transaction.then(put(b"first", b"x")).otherwise(get(b"first")).commit()
            assert result.succeeded

    asyncio.run(main())


def test_writes_at_once_through_losses_are_each_done_once(member: Member) -> None:
    async def main() -> None:
        async with lossy(member.client_port) as proxy, Client([proxy.endpoint]) as client:
            await client.put(b"many", b"")
            if not client.has_exactly_once:
                return
            proxy.losses = 5
            keys = [b"many/%d" % number for number in range(100)]
            await asyncio.gather(*(client.put(key, b"") for key in keys))
            assert [kv.version async for kv in client.scan(b"many/", prefix=True)] == [1] * 100
            assert proxy.losses == 0

    asyncio.run(main())


def test_a_client_that_begins_anywhere_reaches_all() -> None:
    """spread: some of many begin with each endpoint."""

    async def main() -> None:
        async with scripted(OK) as first, scripted(OK) as second:
            for _ in range(40):
                client = Client([first.endpoint, second.endpoint], spread=True, exactly_once=False)
                await client.put(b"key", b"value")
                client.close()
            assert first.paths
            assert second.paths

    asyncio.run(main())


RANGE = rpc_pb2.RangeResponse(kvs=[{"key": b"key", "value": b"value"}]).SerializeToString()


def test_a_silent_endpoint_is_left_by_a_read_and_by_those_after_it() -> None:
    """The call is cancelled there. With one endpoint there is nowhere to go."""

    async def main() -> None:
        async with (
            scripted(HANG) as silent,
            scripted(RANGE) as other,
            Client([silent.endpoint, other.endpoint], timeout_s=1.5) as client,
        ):
            assert await client.get(b"key") == b"value"
            await silent.cancelled.wait()
            assert await client.get(b"key") == b"value"
            assert (len(silent.paths), len(other.paths)) == (1, 2)

    asyncio.run(main())


def test_an_endpoint_that_takes_connections_and_says_nothing_costs_a_share() -> None:
    """As a process that was stopped: the kernel answers for it."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as stopped:
            port: int = stopped.getsockname()[1]
            async with (
                scripted(RANGE, RANGE) as other,
                Client([f"127.0.0.1:{port}", other.endpoint], timeout_s=1.5) as client,
            ):
                assert await client.get(b"key") == b"value"
                assert await client.get(b"key") == b"value"

    asyncio.run(main())


def test_a_write_of_a_session_leaves_a_silent_endpoint_and_stays_in_doubt_until_it_is_answered() -> (
    None
):
    async def outcomes(*steps: Step) -> tuple[list[str], type[BaseException] | None]:
        async with scripted(SESSION, HANG) as silent, scripted(*steps) as other:
            client = Client([silent.endpoint, other.endpoint], timeout_s=1.5)
            error = None
            try:
                await client.put(b"key", b"value")
            except (CallFailed, OutcomeUnknown) as caught:
                error = type(caught)
            client.close()
            assert silent.paths == [OPEN_SESSION, PUT]
            return other.paths, error

    assert asyncio.run(outcomes(OK)) == ([PUT], None)
    assert asyncio.run(outcomes(status.NO_SPACE)) == ([PUT], OutcomeUnknown)


def test_a_write_without_a_session_is_sent_to_nobody_else() -> None:
    async def main() -> None:
        async with scripted(HANG) as silent, scripted(OK) as other:
            client = Client([silent.endpoint, other.endpoint], exactly_once=False, timeout_s=0.5)
            with pytest.raises(OutcomeUnknown):
                await client.put(b"key", b"value")
            client.close()
            assert other.paths == []

    asyncio.run(main())


LARGE = bytes(100_000)
"""More than a server's windows let out that says nothing about them."""


def test_a_write_that_the_server_does_not_take_in_has_not_happened() -> None:
    """Nobody has its last byte. Of one that has left nobody knows."""

    async def main() -> None:
        async with mute() as endpoint:
            client = Client([endpoint], exactly_once=False, timeout_s=1.0)
            with pytest.raises(CallFailed, match=r"did not take the request in time$") as failed:
                await client.put(b"key", LARGE)
            assert failed.value.code == status.DEADLINE_EXCEEDED
            client.close()
            client = Client([endpoint], exactly_once=False, timeout_s=1.0)
            with pytest.raises(OutcomeUnknown, match=r"did not answer in time$"):
                await client.put(b"key", b"small")
            client.close()

    asyncio.run(main())


def test_a_write_that_had_not_left_when_the_connection_was_lost_is_made_again() -> None:
    async def main() -> None:
        async with severed() as server, scripted(OK) as other:
            endpoints = [server.endpoint, other.endpoint]
            async with Client(endpoints, exactly_once=False) as client:
                await client.put(b"key", LARGE)
            assert (server.connections, other.paths) == (1, [PUT])
            async with Client(endpoints, exactly_once=False) as client:
                with pytest.raises(OutcomeUnknown, match="connection lost"):
                    await client.put(b"key", b"small")
            async with Client([server.endpoint], exactly_once=False, timeout_s=1) as client:
                with pytest.raises(CallFailed, match="connection lost"):
                    await client.put(b"key", LARGE)

    asyncio.run(main())


def test_a_write_that_waits_to_be_let_out_has_not_happened_when_the_client_is_closed() -> None:
    async def main() -> None:
        async with mute() as endpoint:
            client = Client([endpoint], exactly_once=False)
            await client.calls._channels[0].connect()
            writes = [asyncio.create_task(client.put(b"key", LARGE)) for _ in range(2)]
            await asyncio.sleep(0)  # both call
            client.close()
            for write in writes:
                with pytest.raises(CallFailed):
                    await write

    asyncio.run(main())


def test_the_last_endpoint_gets_all_the_time_that_is_left() -> None:
    """All are silent: each is asked once, and the last one until the end."""

    async def main() -> None:
        async with scripted(HANG) as first, scripted(HANG) as second:
            client = Client([first.endpoint, second.endpoint], timeout_s=0.6)
            with pytest.raises(CallFailed, match="did not answer in time"):
                await client.get(b"key")
            client.close()
            assert (len(first.paths), len(second.paths)) == (1, 1)

    asyncio.run(main())


def test_every_endpoint_is_named_when_none_helps() -> None:
    """Of a call and of a stream."""

    async def main() -> None:
        nobody = closed_endpoint()
        async with scripted(status.NO_LEADER) as leaderless:
            client = Client([nobody, leaderless.endpoint], timeout_s=1.5)
            with pytest.raises(CallFailed) as caught:
                await client.get(b"key")
            client.close()
        assert f"{nobody} cannot be reached: nothing listens there" in caught.value.text
        assert f"{leaderless.endpoint}: {status.NO_LEADER.text}" in caught.value.text

        client = Client([nobody, "127.0.0.1:2"], timeout_s=1.5)
        with pytest.raises(CallFailed) as caught:
            async with client.watch(b"key"):
                pass
        client.close()
        assert f"{nobody} cannot be reached" in caught.value.text
        assert "127.0.0.1:2 cannot be reached" in caught.value.text

    asyncio.run(main())


def test_one_text_is_no_list_of_endpoints() -> None:
    """Its letters would be taken for endpoints."""
    with pytest.raises(
        UsageError, match=r"a list of endpoints is needed, such as \['127.0.0.1:2379'\]"
    ):
        Client("127.0.0.1:2379")


def test_a_write_that_is_cancelled_at_a_second_endpoint_is_in_doubt() -> None:
    """The first one has refused it, which says nothing of the second."""

    async def main() -> None:
        async with scripted(tuple(status.NOT_LEADER)) as first, scripted(HANG) as second:
            endpoints = [first.endpoint, second.endpoint]
            async with Client(endpoints, exactly_once=False) as client:
                task = asyncio.create_task(client.put(b"a", b"1"))
                await second.called.wait()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert client.calls.was_left_in_doubt

    asyncio.run(main())
