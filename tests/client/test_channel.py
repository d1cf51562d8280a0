"""One connection to one endpoint: shared, replaced, closed."""

import asyncio

import pytest

from raftwerk.api import status
from raftwerk.client import CallFailed, Client
from raftwerk.client.channel import LIMITS, UNREAD_BYTES_MAX, Channel
from raftwerk.client.endpoints import parse_endpoint
from raftwerk.http2.errors import ErrorCode
from raftwerk.http2.frames import MAX_CONCURRENT_STREAMS, STREAM_ID_MAX, goaway, settings
from raftwerk.http2.server import Limits, ServerConnection, UnaryMethod
from raftwerk.server.methods import MethodTable
from tests.client.scripted import GREETING, HANG, OK, closed_endpoint, mute, scripted, severed

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


@pytest.mark.parametrize(
    ("first_words", "told"),
    [
        (b"", "it ended the connection before it spoke HTTP/2; perhaps it wants TLS"),
        (
            bytes.fromhex("15030100020250"),
            "it ended the connection before it spoke HTTP/2; perhaps",
        ),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "it does not speak HTTP/2 in plain text; perhaps"),
        (settings({MAX_CONCURRENT_STREAMS: 0}), "it takes no calls"),
        (GREETING + goaway(0, ErrorCode.NO_ERROR), "it takes no calls"),
    ],
    ids=["nothing", "TLS", "HTTP/1", "no room", "it goes away"],
)
def test_server_that_does_not_speak_as_we_do_cannot_be_reached(
    first_words: bytes, told: str
) -> None:
    """Nothing was sent then: a write is known not to have happened."""

    async def main() -> None:
        async with mute(first_words) as endpoint:
            with pytest.raises(ConnectionResetError, match=f"^{told}"):
                await channel_to(endpoint).connect()
            with pytest.raises(CallFailed, match=f"^{endpoint} cannot be reached: {told}"):
                async with Client([endpoint], timeout_s=0.2) as client:
                    await client.put(b"key", b"value")

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
    answer = asyncio.run(channel_to(closed_endpoint()).call(PUT, b""))
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
            protocol = channel._protocol
            await channel.connect()
            assert channel._protocol is protocol
            channel.close()

    asyncio.run(main())


def test_connection_that_takes_no_more_calls_is_replaced_and_ends_with_its_last_call() -> None:
    """The server allows one stream on each: the second call gets a connection of its own."""

    async def main() -> None:
        async with scripted(HANG, OK) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            first = channel._protocol
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
            assert first._transport is None or first._transport.is_closing()
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
    """The server ends the first connection at once, and says nothing on the second."""
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
            accepted[-1].close()

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


def test_numbers_of_streams_that_are_used_up_mean_another_connection() -> None:
    """What is under way goes on."""

    async def main() -> None:
        async with scripted(HANG, OK) as server:
            channel = channel_to(server.endpoint)
            await channel.connect()
            first = channel._protocol
            assert first is not None
            first.engine._next_stream_id = STREAM_ID_MAX
            hanging = asyncio.create_task(channel.call(PUT, b""))
            await server.called.wait()
            await channel.connect()
            assert (await channel.call(PUT, b"")).status == status.OK
            assert channel._protocol is not first
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


def test_answer_of_more_than_a_few_messages_is_not_refused() -> None:
    """The largest message that the client takes fits what may be unfinished."""
    assert LIMITS.unfinished_bytes_max > LIMITS.message_bytes_max


def test_close_ends_a_call_that_waits_for_a_server_that_does_not_read() -> None:
    """Although what it has written cannot leave."""

    async def main() -> None:
        async with mute() as endpoint:
            channel = channel_to(endpoint)
            await channel.connect()
            protocol = channel._protocol
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
