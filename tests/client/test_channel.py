"""One connection to one endpoint: shared, replaced, closed."""

import asyncio
import socket

import pytest

from raftwerk.api import status
from raftwerk.client import CallFailed, Client
from raftwerk.client.channel import UNREAD_BYTES_MAX, Channel
from raftwerk.client.connection import LIMITS
from raftwerk.client.connections import CONNECTIONS_MAX
from raftwerk.client.endpoints import parse_endpoint
from raftwerk.http2.client import Answer
from raftwerk.http2.frames import STREAM_ID_MAX
from tests.client.scripted import HANG, OK, closed_endpoint, scripted, severed

PUT = "/etcdserverpb.KV/Put"


def channel_to(endpoint: str) -> Channel:
    return Channel(parse_endpoint(endpoint))


def test_calls_that_begin_together_share_one_attempt_to_connect() -> None:
    async def main() -> None:
        async with severed() as server:
            channel = channel_to(server.endpoint)
            await asyncio.gather(*(channel.connect() for _ in range(20)))
            await channel.call(PUT, b"")
            channel.close()
            assert server.connections == 1

    asyncio.run(main())


def test_connect_fails_for_all_who_wait_for_it() -> None:
    async def main() -> None:
        channel = channel_to(closed_endpoint())
        failures = await asyncio.gather(
            *(channel.connect() for _ in range(3)), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [ConnectionRefusedError] * 3

    asyncio.run(main())


def test_an_endpoint_that_was_reached_once_is_never_hopeless() -> None:
    """Its name vanishes while its container is started again."""
    unknown = socket.gaierror(socket.EAI_NONAME, "not known")

    async def main() -> None:
        async with scripted(OK) as server:
            channel = channel_to(server.endpoint)
            assert channel.is_hopeless(unknown)
            await channel.connect()
            assert not channel.is_hopeless(unknown)
            channel.close()

    asyncio.run(main())


def test_connect_is_tried_anew_after_it_failed() -> None:
    async def main() -> None:
        channel = channel_to(closed_endpoint())
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await channel.connect()

    asyncio.run(main())


def test_one_who_gives_up_waiting_does_not_end_it_for_the_others() -> None:
    async def main() -> None:
        async with scripted(OK) as server:
            channel = channel_to(server.endpoint)
            impatient = asyncio.create_task(channel.connect())
            patient = asyncio.create_task(channel.connect())
            await asyncio.sleep(0)
            impatient.cancel()
            await patient
            assert (await channel.call(PUT, b"")).status == status.OK
            channel.close()

    asyncio.run(main())


def test_failed_attempt_that_nobody_waits_for_makes_no_noise() -> None:
    """Warnings are errors: an exception that is never looked at would be one."""

    async def main() -> None:
        channel = channel_to(closed_endpoint())
        impatient = asyncio.create_task(channel.connect())
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        with pytest.raises(ConnectionRefusedError):
            await channel.connect()

    asyncio.run(main())


def test_call_without_a_connection_is_unavailable() -> None:
    async def main() -> Answer:
        return await channel_to(closed_endpoint()).call(PUT, b"")

    answer = asyncio.run(main())
    assert answer == (status.UNAVAILABLE, "127.0.0.1:1 is gone: connection lost", b"", False)


def test_connection_that_was_lost_is_made_again() -> None:
    async def main() -> None:
        async with severed() as server:
            channel = channel_to(server.endpoint)
            for connections in (1, 2):
                await channel.connect()
                text = f"{server.endpoint} is gone: connection lost"
                assert (await channel.call(PUT, b"")).text == text
                assert server.connections == connections
            channel.close()

    asyncio.run(main())


def test_connect_keeps_a_connection_that_stands() -> None:
    async def main() -> None:
        async with scripted(OK) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            protocol = channel._connections.current
            await channel.connect()
            assert channel._connections.current is protocol
            channel.close()

    asyncio.run(main())


def test_connection_that_has_no_room_is_joined_by_another_one() -> None:
    """The server allows one stream on each: the second call gets a connection of its own, and both stay."""

    async def main() -> None:
        async with scripted(HANG, OK) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            first = channel._connections.current
            assert first is not None
            hanging = asyncio.create_task(channel.call(PUT, b""))
            await server.called.wait()
            first.engine._peer_streams_max = 1
            await channel.connect()
            assert (await channel.call(PUT, b"")).status == status.OK
            assert first.engine.streams
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            assert channel._connections.count == 2
            channel.close()

    asyncio.run(main())


def test_more_calls_at_once_than_a_connection_takes_get_connections_of_their_own() -> None:
    """A write that had no room was not sent, and is not told as one that may have happened."""

    async def main() -> None:
        async with scripted(OK, calls_max=2) as server:
            async with Client([server.endpoint], exactly_once=False) as client:
                await asyncio.gather(*(client.put(b"key", b"value") for _ in range(7)))
            assert len(server.paths) == 7

    asyncio.run(main())


def test_calls_at_once_are_made_on_few_connections() -> None:
    """Those that find no room wait for it: a server that takes one call on each is not dialled for each."""

    async def main() -> None:
        async with scripted(OK, calls_max=1) as server:
            async with Client([server.endpoint], exactly_once=False) as client:
                count = 5 * CONNECTIONS_MAX
                await asyncio.gather(*(client.put(b"key", b"value") for _ in range(count)))
            assert len(server.paths) == count
            assert len(server.peers) <= CONNECTIONS_MAX

    asyncio.run(main())


def test_call_that_waits_for_room_in_vain_is_told_so_and_has_not_happened() -> None:
    """And the next one gets the room that there is then."""

    async def main() -> None:
        async with scripted(*[HANG] * CONNECTIONS_MAX, OK, calls_max=1) as server:
            channel = channel_to(server.endpoint)
            client = Client([server.endpoint], exactly_once=False, timeout_s=0.4)
            client.calls._channels = [channel]
            hanging = []
            for _ in range(CONNECTIONS_MAX):
                await channel.connect()
                hanging.append(asyncio.create_task(channel.call(PUT, b"")))
                await asyncio.sleep(0)
            while len(server.paths) < CONNECTIONS_MAX:
                await asyncio.sleep(0)
            told = f"^{server.endpoint} is busy: it has no room for another call "
            with pytest.raises(CallFailed, match=told):
                await client.put(b"key", b"value")
            with pytest.raises(CallFailed, match=told):
                await client.get(b"key")
            with pytest.raises(CallFailed, match=told):
                async with client.watch(b"key"):
                    pass
            client.calls.timeout_s = 30.0
            waiting = asyncio.create_task(client.put(b"key", b"value"))
            await asyncio.sleep(0)
            hanging.pop().cancel()
            await waiting
            client.close()
            await asyncio.gather(*hanging)
            assert len(server.paths) == CONNECTIONS_MAX + 1

    asyncio.run(main())


def test_connect_after_close_is_refused() -> None:
    async def main() -> None:
        channel = channel_to(closed_endpoint())
        channel.close()
        with pytest.raises(OSError, match="the client was closed"):
            await channel.connect()

    asyncio.run(main())


def test_address_of_an_ipv6_endpoint_is_in_brackets() -> None:
    """In texts, and in what the server is called in the request."""
    channel = channel_to("[::1]:2379")
    assert channel.no_answer.text == "[::1]:2379 did not answer in time"
    assert channel.unreachable_text(TimeoutError()) == "[::1]:2379 cannot be reached: no answer"


def test_an_attempt_that_is_cut_short_leaves_the_reason_of_the_one_before() -> None:
    """The server ends the first connection at once, and says nothing on the others: that with which TLS is tried, too."""
    accepted = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        if len(accepted) == 1:
            writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            channel = channel_to(f"127.0.0.1:{port}")
            with pytest.raises(OSError) as ended:
                await channel.connect()
            with pytest.raises(TimeoutError) as cut_short:
                await channel.connect(asyncio.get_running_loop().time() + 0.01)
            text = f"127.0.0.1:{port} cannot be reached: {ended.value}"
            assert channel.unreachable_text(cut_short.value) == text
            channel.close()
            for writer in accepted:
                writer.close()

    asyncio.run(main())


def test_numbers_of_streams_that_are_used_up_mean_another_connection() -> None:
    """What is under way goes on."""

    async def main() -> None:
        async with scripted(HANG, OK) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            first = channel._connections.current
            assert first is not None
            first.engine._next_stream_id = STREAM_ID_MAX
            hanging = asyncio.create_task(channel.call(PUT, b""))
            await server.called.wait()
            await channel.connect()
            assert (await channel.call(PUT, b"")).status == status.OK
            assert channel._connections.current is not first
            assert not hanging.done()
            hanging.cancel()
            await asyncio.wait([hanging])
            channel.close()

    asyncio.run(main())


def test_stream_that_is_not_received_waits_at_the_server() -> None:
    """However much there is, little is held here; and all of it comes in the end."""
    messages = [b"%09d" % number + bytes(20_000) for number in range(500)]

    async def main() -> None:
        async with scripted(messages) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            stream = channel.stream("/etcdserverpb.Watch/Watch")
            stream.send(b"")
            async with asyncio.timeout(30):
                while stream._unread_bytes <= UNREAD_BYTES_MAX:
                    await asyncio.sleep(0)
                for message in messages:
                    assert stream._unread_bytes <= UNREAD_BYTES_MAX + LIMITS.stream_window_bytes
                    assert await stream.receive() == message
                    await asyncio.sleep(0)
            stream.close()
            channel.close()

    asyncio.run(main())
