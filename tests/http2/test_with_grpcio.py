"""Our server with grpcio's client, and our client with grpcio's server, over loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from raftwerk.http2 import grpc as status
from raftwerk.http2.client import Answer, ClientCall, ClientConnection
from raftwerk.http2.headers import literal
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.server.grpc_shell import GrpcProtocol
from raftwerk.server.intake import Intake

MIB = 1024 * 1024
TIMEOUT_S = 20
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Service:
    """Echo, Fail, Never, Count (a server stream), Chat (both ways)."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.seen: list[Call] = []
        self.connections: set[GrpcProtocol] = set()

    def find(self, path: str) -> Method | str:
        methods: dict[str, Method] = {
            "/t.T/Echo": UnaryMethod(Call.reply),
            "/t.T/Fail": UnaryMethod(lambda call, _: call.finish(9, "100% wrong: \u00e4\n")),
            "/t.T/Never": UnaryMethod(lambda call, _: self._keep(call)),
            "/t.T/Count": StreamMethod(self._count),
            "/t.T/Chat": StreamMethod(self._chat),
        }
        return methods.get(path, f"unknown method {path}")

    def _keep(self, call: Call) -> None:
        self.seen.append(call)
        call.on_cancel = self.cancelled.set

    def _count(self, call: Call) -> None:
        def start(message: bytes) -> None:
            for number in range(int(message)):
                call.send(b"%d" % number)
            call.finish()

        call.on_message = start

    def _chat(self, call: Call) -> None:
        self._keep(call)
        call.on_message = lambda message: call.send(message[::-1])
        call.on_half_close = call.finish

    def on_opened(self, connection: GrpcProtocol) -> None:
        self.connections.add(connection)

    def on_closed(self, connection: GrpcProtocol) -> None:
        self.connections.remove(connection)

    def on_bytes(self, received: int, sent: int) -> None: ...

    def on_waiting(self, connection: GrpcProtocol, waiting_bytes: int) -> None: ...


def with_our_server(
    scenario: Callable[[Service, Any], Awaitable[None]], limits: Limits | None = None
) -> None:
    """Run a scenario with a grpcio channel to our server."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        service = Service()
        listener = await loop.create_server(
            lambda: GrpcProtocol(
                service, service, limits or Limits(), loop, Intake(loop), loop.call_soon
            ),
            "127.0.0.1",
            0,
        )
        port = listener.sockets[0].getsockname()[1]
        async with asyncio.timeout(TIMEOUT_S), listener:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
                await scenario(service, channel)
            for connection in service.connections:
                connection.abort()
            while service.connections:
                await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, 1, 300, 16_379, 16_380, 70_000, 1_572_864])
def test_grpcio_gets_its_message_back(size: int) -> None:
    """Messages below a frame, at its edge, and over several windows."""

    async def scenario(_: Service, channel: Any) -> None:
        message = bytes(range(256)) * (size // 256 + 1)
        assert await channel.unary_unary("/t.T/Echo")(message[:size]) == message[:size]

    with_our_server(scenario)


def test_many_calls_of_grpcio_at_once() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        echo = channel.unary_unary("/t.T/Echo")
        messages = [b"%d" % number * 200 for number in range(300)]
        assert await asyncio.gather(*(echo(message) for message in messages)) == messages

    with_our_server(scenario)


def test_grpcio_reads_our_status_and_text() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/t.T/Fail")(b"")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "100% wrong: \u00e4\n"

    with_our_server(scenario)


@pytest.mark.parametrize(
    ("path", "message", "code", "details"),
    [
        ("/t.T/Missing", b"", "UNIMPLEMENTED", "unknown method /t.T/Missing"),
        (
            "/t.T/Echo",
            bytes(3 * MIB),
            "RESOURCE_EXHAUSTED",
            "grpc: received message larger than max (3145728 vs. 2097152)",
        ),
    ],
    ids=["unknown method", "too large a message"],
)
def test_grpcio_is_refused(path: str, message: bytes, code: str, details: str) -> None:
    async def scenario(_: Service, channel: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(message)
        assert (caught.value.code().name, caught.value.details()) == (code, details)
        assert await channel.unary_unary("/t.T/Echo")(b"next") == b"next"

    with_our_server(scenario)


def test_grpcio_reads_a_stream_from_us() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        received = [one async for one in channel.unary_stream("/t.T/Count")(b"1000")]
        assert received == [b"%d" % number for number in range(1000)]

    with_our_server(scenario)


def test_grpcio_chats_with_us() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        chat = channel.stream_stream("/t.T/Chat")()
        for message in (b"abc", b"", bytes(MIB) + b"x"):
            await chat.write(message)
            assert await chat.read() == message[::-1]
        await chat.done_writing()
        assert await chat.read() is grpc.aio.EOF
        assert await chat.code() is grpc.StatusCode.OK

    with_our_server(scenario)


def test_we_see_the_deadline_and_the_cancellation_of_grpcio() -> None:
    async def scenario(service: Service, channel: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/t.T/Never")(b"", timeout=0.05)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        timeout_s = service.seen[0].request.timeout_s
        assert timeout_s is not None
        assert 0 < timeout_s <= 0.06
        await service.cancelled.wait()

    with_our_server(scenario)


def test_grpcio_cancels_a_stream_with_us() -> None:
    async def scenario(service: Service, channel: Any) -> None:
        chat = channel.stream_stream("/t.T/Chat")()
        await chat.write(b"one")
        assert await chat.read() == b"eno"
        chat.cancel()
        await service.cancelled.wait()
        assert await channel.unary_unary("/t.T/Echo")(b"next") == b"next"

    with_our_server(scenario)


def test_grpcio_compresses_with_gzip() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        echo = channel.unary_unary("/t.T/Echo")
        answer = await echo(bytes(100_000), compression=grpc.Compression.Gzip)
        assert answer == bytes(100_000)

    with_our_server(scenario)


def test_grpcio_is_told_that_we_know_no_deflate() -> None:
    async def scenario(_: Service, channel: Any) -> None:
        echo = channel.unary_unary("/t.T/Echo")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echo(bytes(100_000), compression=grpc.Compression.Deflate)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    with_our_server(scenario)


# The other way round


class ClientProtocol(asyncio.Protocol):
    """A socket around ClientConnection."""

    def __init__(self) -> None:
        self.engine = ClientConnection("127.0.0.1", Limits(message_bytes_max=16 * MIB))
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.engine.receive(data)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.engine.take_output())

    def connection_lost(self, exc: Exception | None) -> None:
        self.engine.lost()

    async def ask(self, path: str, message: bytes = b"", metadata: bytes = b"") -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.engine.call(path, message, answer.set_result, metadata=metadata)
        self.flush()
        return await answer


class Handlers(grpc.GenericRpcHandler):
    """The same service on grpcio."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    def service(self, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        if name == "Count":
            return grpc.unary_stream_rpc_method_handler(self.count)
        if name == "Chat":
            return grpc.stream_stream_rpc_method_handler(self.chat)
        unary = {"Echo": self.echo, "Fail": self.fail, "Never": self.never}.get(name)
        return unary and grpc.unary_unary_rpc_method_handler(unary)

    async def echo(self, message: bytes, _: Any) -> bytes:
        return message

    async def fail(self, _: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "100% gone: \u00e4\n")

    async def never(self, _: bytes, __: Any) -> None:
        self.started.set()
        try:
            await asyncio.Future()
        finally:
            self.cancelled.set()

    async def count(self, message: bytes, _: Any) -> AsyncIterator[bytes]:
        for number in range(int(message)):
            yield b"%d" % number

    async def chat(self, messages: Any, _: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message[::-1]


@asynccontextmanager
async def grpcio_server() -> AsyncIterator[tuple[Handlers, ClientProtocol]]:
    handlers = Handlers()
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _, client = await asyncio.get_running_loop().create_connection(
        ClientProtocol, "127.0.0.1", port
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield handlers, client
    finally:
        client.transport.close()
        await server.stop(None)


@pytest.mark.parametrize("size", [0, 300, 16_380, 70_000, 8 * MIB])
def test_grpcio_sends_our_message_back(size: int) -> None:
    async def main() -> None:
        async with grpcio_server() as (_, client):
            message = bytes(range(256)) * (size // 256 + 1)
            assert await client.ask("/t.T/Echo", message[:size]) == Answer(0, "", message[:size])

    asyncio.run(main())


def test_many_calls_of_ours_at_once() -> None:
    async def main() -> None:
        async with grpcio_server() as (_, client):
            messages = [b"%d" % number * 200 for number in range(50)]
            calls = (client.ask("/t.T/Echo", message) for message in messages)
            assert [one.message for one in await asyncio.gather(*calls)] == messages

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/t.T/Fail", 5, "100% gone: \u00e4\n"),
        ("/t.T/Missing", status.UNIMPLEMENTED, "Method not found!"),
    ],
)
def test_we_read_the_status_of_grpcio(path: str, code: int, text: str) -> None:
    async def main() -> None:
        async with grpcio_server() as (_, client):
            assert await client.ask(path) == Answer(code, text)

    asyncio.run(main())


def test_grpcio_sees_our_deadline() -> None:
    async def main() -> None:
        async with grpcio_server() as (handlers, client):
            answer = await client.ask("/t.T/Never", b"", literal(b"grpc-timeout", b"50m"))
            assert answer.status in (status.DEADLINE_EXCEEDED, status.UNAVAILABLE)
            await handlers.cancelled.wait()
            assert (await client.ask("/t.T/Echo", b"next")).message == b"next"

    asyncio.run(main())


def test_grpcio_sees_our_cancellation() -> None:
    async def main() -> None:
        async with grpcio_server() as (handlers, client):
            answers: list[Answer] = []
            call = client.engine.call("/t.T/Never", b"", answers.append)
            client.flush()
            await handlers.started.wait()
            call.cancel()
            client.flush()
            await handlers.cancelled.wait()
            assert answers == []

    asyncio.run(main())


def test_we_read_a_stream_from_grpcio() -> None:
    async def main() -> None:
        async with grpcio_server() as (_, client):
            received: list[bytes] = []
            done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            client.engine.call("/t.T/Count", b"1000", done.set_result, received.append)
            client.flush()
            assert (await done).status == status.OK
            assert received == [b"%d" % number for number in range(1000)]

    asyncio.run(main())


def test_we_chat_with_grpcio() -> None:
    async def main() -> None:
        async with grpcio_server() as (_, client):
            received: asyncio.Queue[bytes] = asyncio.Queue()
            done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            chat: ClientCall = client.engine.open("/t.T/Chat", done.set_result, received.put_nowait)
            for message in (b"abc", b"", bytes(MIB) + b"x"):
                chat.send(message)
                client.flush()
                assert await received.get() == message[::-1]
            chat.half_close()
            client.flush()
            assert (await done).status == status.OK

    asyncio.run(main())
