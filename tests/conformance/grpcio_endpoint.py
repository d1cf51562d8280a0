"""A server by grpcio, which shares no code with it: for the player, as our own engine."""

import asyncio
from typing import Any

import grpc

from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.steps import HttpAnswer, Metadata
from raftwerk.http2.client import Answer

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


def _answer(code: grpc.StatusCode, text: str | None) -> Answer:
    return Answer(code.value[0], text or "")


class GrpcioStream:
    """Implements ports.Stream."""

    def __init__(self, channel: grpc.aio.Channel, path: str, metadata: Metadata) -> None:
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._call: Any = channel.stream_stream(path)(self._said(), metadata=metadata)
        self._responses = aiter(self._call)

    async def _said(self) -> Any:
        while (request := await self._requests.get()) is not None:
            yield request

    def send(self, message: bytes) -> None:
        self._requests.put_nowait(message)

    def half_close(self) -> None:
        self._requests.put_nowait(None)

    async def receive(self) -> bytes | Answer:
        try:
            return bytes(await anext(self._responses))
        except StopAsyncIteration:
            return _answer(grpc.StatusCode.OK, "")
        except grpc.aio.AioRpcError as error:
            return _answer(error.code(), error.details())

    def close(self) -> None:
        self._requests.put_nowait(None)
        self._call.cancel()


class GrpcioEndpoint:
    """address: host:port. Implements ports.Endpoint."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._pages = ClientEndpoint(address)

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer:
        try:
            response = await self._channel.unary_unary(path)(message, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return _answer(error.code(), error.details())
        return Answer(0, "", bytes(response))

    async def stream(self, path: str, metadata: Metadata) -> GrpcioStream:
        return GrpcioStream(self._channel, path, metadata)

    async def http(self, method: str, path: str, body: bytes) -> HttpAnswer:
        return await self._pages.http(method, path, body)

    async def close(self) -> None:
        await self._pages.close()
        await self._channel.close()
