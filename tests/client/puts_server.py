"""A server of raftwerk.Sessions/Put that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from raftwerk.api import auth_rpc_pb2, session_puts
from raftwerk.api.rpc_pb2 import PutResponse
from raftwerk.api.session_puts import Puts
from raftwerk.client import Client
from tests.client.scripted import OK, SESSION, Scripted, serving

TOKEN = auth_rpc_pb2.AuthenticateResponse(token="secret.1").SerializeToString()
Message = list[int] | bytes
"""Of answers: to these numbers, with the number as the revision; or something else."""
Script = list[Message | tuple[int, str] | str]
"""What a call is answered with: messages, then OK, unless a status or HANG ends it."""


def revision_of(number: int) -> bytes:
    response = PutResponse()
    response.header.revision = number
    return response.SerializeToString()


class PutsServer(Scripted):
    """The n-th call of many puts gets what `script` says of it; other calls get what Scripted says."""

    def __init__(
        self, script: Callable[[int, list[int]], Script], *, has_token: bool = False
    ) -> None:
        """script: is told how many calls came before, and the numbers of the puts. has_token: and gives it to who asks."""
        super().__init__([TOKEN, SESSION, OK] if has_token else [SESSION, OK])
        self._script = script
        self.calls: list[Puts] = []
        self.metadata: list[dict[str, str]] = []
        """Of each call of many."""
        self.order: list[str] = []
        """The paths of all calls, as they came."""

    def service(self, details: Any) -> Any:
        self.order.append(details.method)
        if details.method != session_puts.PATH:
            return super().service(details)
        return grpc.unary_stream_rpc_method_handler(self._answer)

    async def _answer(self, data: bytes, context: Any) -> None:
        puts = session_puts.decode_puts(data)
        self.calls.append(puts)
        self.metadata.append(dict(context.invocation_metadata()))
        self.called.set()
        for step in self._script(len(self.calls) - 1, [number for number, _ in puts.puts]):
            if isinstance(step, bytes):
                await context.write(step)
            elif isinstance(step, list):
                answers = [(number, 0, "", revision_of(number)) for number in step]
                await context.write(session_puts.encode(answers))
            elif isinstance(step, tuple):
                await self.abort(context, *step)
            else:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()

    @property
    def numbers(self) -> list[list[int]]:
        return [[number for number, _ in puts.puts] for puts in self.calls]


@asynccontextmanager
async def puts_server(
    script: Callable[[int, list[int]], Script], calls_max: int = 100
) -> AsyncIterator[PutsServer]:
    async with serving(PutsServer(script), calls_max) as server:
        assert isinstance(server, PutsServer)
        yield server


def answer_all(_: int, numbers: list[int]) -> Script:
    return [numbers]


async def begun(server: PutsServer, **settings: Any) -> Client:
    """A client whose session is open, by its put number 1."""
    client = Client([server.endpoint], **settings)
    await client.put(b"first", b"")
    return client


async def put(client: Client, value: bytes = b"v") -> int:
    return (await client.put(b"key", value)).header.revision
