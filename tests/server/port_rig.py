"""A server on a port of its own, a node in memory behind it, and its clients on real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from raftwerk.api.rpc_pb2 import PutRequest
from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.limits import Limits
from raftwerk.kv.commands import Put, encode
from raftwerk.replica.failure import Failure
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.settings import Settings
from raftwerk.server.app import Server
from tests.server.fakes import FakeLoop, FakeNode

PUT = "/etcdserverpb.KV/Put"
REQUEST = PutRequest(key=b"a", value=b"1").SerializeToString()


class PromptNode(FakeNode):
    """Settles at once, or keeps waiting what comes while it is stuck: there is a real loop here."""

    def propose(self, command: bytes, done: Callable[[object], None]) -> None:
        self.commands.append(command)
        if self.is_stuck:
            self._later(lambda: done(self.failure or self.apply(command)))
        else:
            done(self.failure or self.apply(command))

    def read(self, done: Callable[[Failure | None], None]) -> None:
        done(self.failure)

    def soon(self, action: Callable[[], object]) -> None:
        self.soon_count += 1
        asyncio.get_running_loop().call_soon(action)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Port:
    """A running server and where it is."""

    def __init__(self, settings: Settings) -> None:
        self.number = free_port()
        listen = (Address("127.0.0.1", self.number),)
        self.node = PromptNode(FakeLoop(), replace(settings, listen_client=listen))
        self.node.apply(encode(Put(b"filler", b"x" * 100)))
        self.server = Server(self.node)
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        """End the server, and the clients' side of each connection."""
        await self.server.stop()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


Test = Callable[[Port], Coroutine[Any, Any, None]]


def serve(test: Test, settings: Settings | None = None) -> None:
    """Run a test beside a server that is stopped after it."""

    async def run() -> None:
        port = Port(settings or Settings())
        await port.server.start()
        try:
            await asyncio.wait_for(test(port), 10)
        finally:
            await port.close()

    asyncio.run(run())


class GrpcConnection:
    """A gRPC client on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.engine = ClientConnection("rig", Limits())
        self.answers: list[Answer] = []

    @staticmethod
    async def open(port: Port) -> "GrpcConnection":
        return GrpcConnection(*await port.connect())

    def start(self, path: str, data: bytes) -> None:
        self.engine.call(path, data, self.answers.append)
        self.writer.write(self.engine.take_output())

    async def answer(self) -> Answer:
        while not self.answers:
            data = await self.reader.read(65536)
            assert data, "the connection was closed"
            self.engine.receive(data)
            self.writer.write(self.engine.take_output())
        return self.answers.pop()

    async def call(self, path: str, data: bytes) -> Answer:
        self.start(path, data)
        return await self.answer()
