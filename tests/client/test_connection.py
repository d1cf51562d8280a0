"""One connection: how it begins, whether it lives, how it ends."""

import asyncio
import socket

import pytest

from raftwerk.api import status
from raftwerk.client import CallFailed, Client
from raftwerk.client.channel import Channel
from raftwerk.client.connection import LIMITS, TurnedAway, is_hopeless
from raftwerk.client.endpoints import parse_endpoint
from raftwerk.client.errors import NotTaken
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import MAX_CONCURRENT_STREAMS, goaway, settings
from raftwerk.http2.server import Limits, ServerConnection, UnaryMethod
from raftwerk.server.methods import MethodTable
from tests.client.scripted import GREETING, mute

PUT = "/etcdserverpb.KV/Put"


@pytest.mark.parametrize(
    ("first_words", "told"),
    [
        (b"", "it ended the connection before it spoke HTTP/2; perhaps it wants TLS"),
        (bytes.fromhex("15030100020250"), "it speaks TLS: name it with https://"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "it does not speak HTTP/2 in plain text; perhaps"),
        (settings({MAX_CONCURRENT_STREAMS: 0}), "it takes no calls"),
        (GREETING + goaway(0, ErrorCode.NO_ERROR), "it takes no calls"),
        (GREETING + goaway(0, ErrorCode.NO_ERROR, "stopping"), "it takes no calls"),
        (GREETING + goaway(0, ErrorCode.INTERNAL_ERROR), "it takes no calls"),
        (GREETING + goaway(0, ErrorCode.PROTOCOL_ERROR, "another port"), "another port"),
    ],
    ids=[
        "nothing",
        "TLS",
        "HTTP/1",
        "no room",
        "it goes away",
        "stopping",
        "no reason",
        "a reason",
    ],
)
def test_server_that_does_not_speak_as_we_do_cannot_be_reached(
    first_words: bytes, told: str
) -> None:
    """Nothing was sent then: a write is known not to have happened."""

    async def main() -> None:
        async with mute(first_words) as endpoint:
            with pytest.raises(ConnectionResetError, match=f"^{told}"):
                await Channel(parse_endpoint(endpoint)).connect()
            with pytest.raises(CallFailed, match=f"^{endpoint} cannot be reached: {told}"):
                async with Client([endpoint], timeout_s=0.2) as client:
                    await client.put(b"key", b"value")

    asyncio.run(main())


def test_server_that_hangs_up_is_not_taken_for_one_with_tls_when_it_answers_tls_in_plain_text() -> (
    None
):
    """It may be starting, or stopping: there is hope."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1) != b"P":  # of the first line of HTTP/2
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionResetError, match=r"^it ended the connection") as caught:
                await Channel(parse_endpoint(f"127.0.0.1:{port}")).connect()
            assert not is_hopeless(caught.value)

    asyncio.run(main())


def test_server_that_is_gone_without_a_word_is_noticed() -> None:
    """No caller's deadline is needed: the question of the connection itself gets no answer."""

    async def main() -> None:
        async with mute() as endpoint:
            channel = Channel(parse_endpoint(endpoint), keepalive_s=0.02)
            async with asyncio.timeout(30):
                await channel.connect()
                assert (await channel.call(PUT, b"")).status == status.UNAVAILABLE

    asyncio.run(main())


def test_server_that_thinks_for_long_is_left_to_it() -> None:
    pings = []
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine = ServerConnection(
            MethodTable({PUT: UnaryMethod(lambda call, data: None)}), Limits()
        )
        while data := await reader.read(65536):
            engine.receive(data)
            pings.append(b"raftwerk" in data)
            writer.write(engine.take_output())
        writer.close()
        is_over.set()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        channel = Channel(parse_endpoint(f"127.0.0.1:{port}"), keepalive_s=0.1)
        await channel.connect()
        call = asyncio.create_task(channel.call(PUT, b""))
        async with asyncio.timeout(30):
            while sum(pings) < 3:
                await asyncio.wait([call], timeout=0.05)
        assert not call.done()
        call.cancel()
        await asyncio.wait([call])
        channel.close()
        await is_over.wait()
        server.close()

    asyncio.run(main())


def test_answer_of_more_than_a_few_messages_is_not_refused() -> None:
    """The largest message that the client takes fits what may be unfinished."""
    assert LIMITS.unfinished_bytes_max > LIMITS.message_bytes_max


def test_calls_wait_however_much_does_already_for_a_server_that_takes_nothing_in() -> None:
    """It is the program's own: it breaks no protocol, and ends no other calls."""

    async def main() -> None:
        async with asyncio.timeout(30), mute() as endpoint:
            channel = Channel(parse_endpoint(endpoint))
            await channel.connect()
            protocol = channel._connections.current
            assert protocol is not None
            protocol.engine._sender.queued_bytes += 2**40  # of many other calls
            first = asyncio.create_task(channel.call(PUT, bytes(100_000)))
            await asyncio.sleep(0)  # it calls
            until_s = asyncio.get_running_loop().time() + 0.05
            with pytest.raises(NotTaken):
                await channel.call(PUT, bytes(100_000), until_s=until_s)
            assert not first.done()
            channel.close()
            assert (await first).text == f"{endpoint} is gone: connection lost"

    asyncio.run(main())


def test_close_ends_a_call_that_waits_for_a_server_that_does_not_read() -> None:
    """Although what it has written cannot leave."""

    async def main() -> None:
        async with mute() as endpoint:
            channel = Channel(parse_endpoint(endpoint))
            await channel.connect()
            protocol = channel._connections.current
            assert protocol is not None
            protocol.engine._sender.widen(2**30)
            protocol.engine._sender.stream_window = 2**30
            call = asyncio.create_task(channel.call(PUT, bytes(64 * 1024 * 1024)))
            await asyncio.sleep(0)  # it calls
            await asyncio.sleep(0)  # what was called is written at the end of a turn
            channel.close()
            async with asyncio.timeout(30):
                assert (await call).status == status.UNAVAILABLE
            assert protocol._transport is not None
            protocol._transport.abort()

    asyncio.run(main())


def test_what_will_be_the_same_next_time() -> None:
    """A name that is not known; not a closed connection, nor name servers that do not answer."""
    for_now = [
        ConnectionRefusedError(),
        ConnectionResetError(),
        TimeoutError(),
        socket.gaierror(socket.EAI_AGAIN, "try again"),
    ]
    assert is_hopeless(socket.gaierror(socket.EAI_NONAME, "not known"))
    assert is_hopeless(TurnedAway("another port"))
    assert not any(is_hopeless(error) for error in for_now)


def test_nothing_is_written_to_a_connection_that_has_just_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When many do so before they are told, asyncio puts a line into the program's log for each."""

    async def main() -> None:
        async with mute() as endpoint:
            channel = Channel(parse_endpoint(endpoint))
            await channel.connect()
            protocol = channel._connections.current
            assert protocol is not None
            assert protocol._transport is not None
            protocol._transport.abort()
            for _ in range(10):
                protocol.engine.ping()
                protocol.flush()
            channel.close()

    asyncio.run(main())
    assert caplog.records == []
