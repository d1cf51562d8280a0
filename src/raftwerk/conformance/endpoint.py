"""A server, by our own engine. Nothing is tried again: the first answer is what counts."""

import asyncio
import http.client
import ssl
from collections.abc import Callable
from typing import Final

from raftwerk.client.channel import Channel, Stream
from raftwerk.client.endpoints import parse_endpoint, tls_contexts
from raftwerk.conformance.steps import HttpAnswer, Metadata
from raftwerk.http2.client import Answer
from raftwerk.http2.headers import literal

PATIENCE_S: Final = 20.0


def _block(metadata: Metadata) -> bytes:
    return b"".join(literal(name.encode(), value.encode()) for name, value in metadata)


class ClientEndpoint:
    """text: host:port, or a URL. tls: makes a context; it is asked for each protocol. Implements ports.Endpoint."""

    def __init__(self, text: str, tls: Callable[[], ssl.SSLContext | None] = lambda: None) -> None:
        self.address: str = text
        self._place = parse_endpoint(text)
        (self._tls,) = tls_contexts([self._place], tls())
        (for_grpc,) = tls_contexts([self._place], tls())
        if for_grpc is not None:
            for_grpc.set_alpn_protocols(["h2"])
        self._channel = Channel(self._place, for_grpc)

    async def call(self, path: str, message: bytes, metadata: Metadata) -> Answer:
        """Raises OSError when there is no server."""
        await self._channel.connect()
        return await self._channel.call(path, message, _block(metadata))

    async def stream(self, path: str, metadata: Metadata) -> Stream:
        await self._channel.connect()
        return self._channel.stream(path, _block(metadata))

    async def http(self, method: str, path: str, body: bytes) -> HttpAnswer:
        return await asyncio.to_thread(self._http, method, path, body)

    def _http(self, method: str, path: str, body: bytes) -> HttpAnswer:
        host, port = self._place
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        else:
            connection = http.client.HTTPSConnection(
                host, port, timeout=PATIENCE_S, context=self._tls
            )
        try:
            connection.request(method, path, body or None)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return HttpAnswer(answer.status, answer.getheader("Content-Type") or "", text)
        finally:
            connection.close()

    async def close(self) -> None:
        self._channel.close()
