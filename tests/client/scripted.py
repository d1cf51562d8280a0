"""Servers that answer as they are told: on grpcio, which shares no code with the client, and on bare sockets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import Int64Value

from raftwerk.api import rpc_pb2, session_puts

OK: Final = rpc_pb2.PutResponse().SerializeToString()
SESSION: Final = Int64Value(value=7).SerializeToString()
"""The answer to who opens one."""
GREETING: Final = bytes.fromhex("000000040000000000")
"""A server's first word: settings, all as they are."""
HANG: Final = "hang"
"""No answer, until the call is cancelled."""

Step = bytes | list[bytes] | tuple[int, str] | str
"""A message; messages of a stream that goes on after them; (gRPC status, text); or HANG."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Scripted(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Any method; the n-th call gets the n-th step, and all after them the last one."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)
        self.paths: list[str] = []
        self.peers: set[str] = set()
        """The connections over which calls came."""
        self.called = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.endpoint = ""

    def service(self, details: Any) -> Any:
        if details.method == session_puts.PATH:
            return None  # a server that does not know it
        self.paths.append(details.method)
        step = self._steps[min(len(self.paths), len(self._steps)) - 1]

        async def answer(_: bytes, context: Any) -> bytes:
            self.called.set()
            self.peers.add(context.peer())
            if step == HANG:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
            if isinstance(step, tuple):
                await self.abort(context, *step)
            assert isinstance(step, bytes)
            return step

        async def stream(requests: Any, context: Any) -> None:
            await anext(aiter(requests))
            self.called.set()
            assert isinstance(step, list)
            for message in step:
                await context.write(message)
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()

        if isinstance(step, list):
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer)

    @staticmethod
    async def abort(context: Any, code: int, text: str) -> None:
        await context.abort(_CODES[code], text)


@asynccontextmanager
async def serving(handler: Scripted, calls_max: int = 100) -> AsyncIterator[Scripted]:
    """A server on a port of its own, that takes so many calls at once on each connection."""
    options = [("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", calls_max)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    handler.endpoint = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield handler
    finally:
        await server.stop(None)


@asynccontextmanager
async def scripted(*steps: Step, calls_max: int = 100) -> AsyncIterator[Scripted]:
    """The same, for these steps."""
    async with serving(Scripted(steps), calls_max) as server:
        yield server


class Severed:
    """Takes in requests, and resets the connection as soon as one has come."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(GREETING)
        await reader.readuntil(b"/etcdserverpb.")
        writer.transport.abort()


@asynccontextmanager
async def severed() -> AsyncIterator[Severed]:
    """Such a server on a port of its own."""
    server = Severed()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.endpoint = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server


@asynccontextmanager
async def mute(first_words: bytes = GREETING) -> AsyncIterator[str]:
    """The endpoint of a server that says this, and nothing ever after; it takes in little. Without a greeting it hangs up."""
    gone = asyncio.Event()
    tasks = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(first_words)
        if first_words == GREETING:
            await gone.wait()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listener:
        try:
            yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            gone.set()
            await asyncio.gather(*tasks)


def closed_endpoint() -> str:
    """Where nobody listens."""
    return "127.0.0.1:1"
