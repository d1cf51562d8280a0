"""A server that answers every call at once, with nothing: what it gets done is all that a load generator asks for.

python -m benchmarks.instant PORT, on 127.0.0.1, until it is killed.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import uvloop

from raftwerk.cli.cluster import free_ports
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, Method, ServerConnection, UnaryMethod

STARTED: Final = b"started\n"


def _answer(call: Call, _: bytes) -> None:
    call.reply(b"")


class AnyMethod:
    """Implements http2.server.Methods: whatever is called."""

    def find(self, _: str) -> Method | str:
        return UnaryMethod(_answer)


class InstantProtocol(asyncio.Protocol):
    def __init__(self) -> None:
        self._engine = ServerConnection(AnyMethod(), Limits())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._engine.receive(data)
        output = self._engine.take_output()
        if output:
            self._transport.write(output)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(InstantProtocol, "127.0.0.1", port)
    sys.stdout.buffer.write(STARTED)
    sys.stdout.buffer.flush()
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Such a server in a process of its own; its endpoint."""
    ((port, _),) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.instant", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != STARTED:
            raise RuntimeError("the server that answers at once has not started")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
