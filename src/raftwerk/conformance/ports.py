"""What a player needs of a connection to a server: our own engine has it, and grpcio in the tests."""

from typing import Protocol

from raftwerk.conformance.steps import HttpAnswer, Metadata
from raftwerk.http2.client import Answer


class Stream(Protocol):
    """One streaming call."""

    def send(self, message: bytes) -> None: ...

    def half_close(self) -> None: ...

    async def receive(self) -> bytes | Answer: ...

    def close(self) -> None: ...


class Endpoint(Protocol):
    """One server."""

    @property
    def address(self) -> str: ...

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer: ...

    async def stream(self, path: str, metadata: Metadata) -> Stream: ...

    async def http(self, method: str, path: str, body: bytes) -> HttpAnswer: ...

    async def close(self) -> None: ...
