"""One request to the gateway and its answer: over plain HTTP, or over a WebSocket (text messages instead of lines)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from raftwerk.api import status
from raftwerk.server.gateway_call import HTTP_STATUS
from raftwerk.server.http1_transport import HOLD

HTTP_NAMES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

PART_BYTES: Final = 4 * 1024
"""Of a request, looked at in one turn of the loop: about two milliseconds if every byte means something."""
Headers = list[tuple[bytes, bytes]]
Hold = Callable[[int], None]
"""Told of so many bytes that are kept for the client (http1_transport)."""


def error_text(code: int, text: str) -> str:
    """The answer to a call that failed; etcd 3.5 says the text twice, later ones only as the message."""
    return json.dumps({"error": text, "code": code, "message": text}, separators=(",", ":"))


def stream_error_text(code: int, text: str) -> str:
    """The last message of a stream that failed after its first answer."""
    http_code = HTTP_STATUS.get(code, 500)
    error = {
        "grpc_code": code,
        "http_code": http_code,
        "message": text,
        "http_status": HTTP_NAMES[http_code],
    }
    return json.dumps({"error": error}, separators=(",", ":"))


class Exchange(Protocol):
    """What the gateway needs of either transport."""

    @property
    def headers(self) -> Headers:
        """Of the request, names in lower case."""

    @property
    def hold(self) -> Hold: ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The request, as it comes, to its end."""

    async def left(self) -> None:
        """Return when the client has gone. After `pieces`."""

    async def answer(self, http_status: int, text: str) -> None:
        """The whole answer."""

    async def answer_in_pieces(self, pieces: Iterator[str]) -> None:
        """A large one that went well; others get their turn between the pieces."""

    async def stream(self, text: str) -> None:
        """One message of an answer that is not complete."""

    async def end(self) -> None:
        """Nothing more comes."""


def _hold_of(scope: Scope) -> Hold:
    hold: Hold = scope["state"][HOLD]
    return hold


class HttpExchange:
    """A body, and a body back; a stream is sent in chunks, a line for each message."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: Headers = scope["headers"]
        self.hold = _hold_of(scope)
        self._receive = receive
        self._send = send
        self._has_started = False

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, http_status: int, text: str) -> None:
        await self._whole(http_status, b"application/json", text.encode(errors="replace"))

    async def refuse(self, http_status: int, text: str) -> None:
        """An answer that is no call's."""
        await self._whole(http_status, b"text/plain; charset=utf-8", text.encode())

    async def _whole(self, http_status: int, content_type: bytes, body: bytes) -> None:
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._start(http_status, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, http_status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": http_status, "headers": headers})

    async def answer_in_pieces(self, pieces: Iterator[str]) -> None:
        for piece in pieces:
            await self._part(piece)
            await asyncio.sleep(0)
        await self.end()

    async def stream(self, text: str) -> None:
        await self._part(text + "\n")

    async def _part(self, text: str) -> None:
        await self._begin()
        body = text.encode(errors="replace")
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _begin(self) -> None:
        if not self._has_started:
            self._has_started = True
            await self._start(200, [(b"content-type", b"application/json")])

    async def end(self) -> None:
        await self._begin()
        await self._send({"type": "http.response.body", "body": b""})


class WebSocketExchange:
    """Text messages both ways; the HTTP status of an answer has no place here."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A browser cannot set headers: it may offer the subprotocols "bearer" and its token instead."""
        self.headers: Headers = list(scope["headers"])
        self.hold = _hold_of(scope)
        self._receive = receive
        self._send = send
        self._is_over = False
        """The client has said its last word, or is gone: it is told once."""
        self._subprotocol: str | None = None
        offered = scope.get("subprotocols", [])
        if len(offered) == 2 and offered[0].lower() == "bearer":
            self._subprotocol = offered[0]
            self.headers.append((b"authorization", f"Bearer {offered[1]}".encode("latin-1")))

    async def accept(self) -> None:
        """Before anything else."""
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": self._subprotocol})

    async def pieces(self) -> AsyncIterator[bytes]:
        while not self._is_over:
            message = await self._receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                yield message.get("bytes") or b"" if text is None else text.encode()
            else:
                self._is_over = True

    async def left(self) -> None:
        async for _ in self.pieces():
            pass

    async def answer(self, http_status: int, text: str) -> None:
        await self.stream(text)
        await self.end()

    async def answer_in_pieces(self, pieces: Iterator[str]) -> None:
        await self.answer(200, await joined(pieces))

    async def stream(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def end(self) -> None:
        await self._send({"type": "websocket.close", "code": 1000})


async def in_parts(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, no more than PART_BYTES at once; others get their turn before each part but the first."""
    is_first = True
    async for piece in pieces:
        for start in range(0, len(piece), PART_BYTES) or (0,):
            if not is_first:
                await asyncio.sleep(0)
            is_first = False
            yield piece[start : start + PART_BYTES]


async def joined(pieces: Iterator[str]) -> str:
    """All pieces; others get their turn between them."""
    parts = []
    for piece in pieces:
        parts.append(piece)
        await asyncio.sleep(0)
    return "".join(parts)


def status_code(code: int) -> int:
    """The HTTP status for a gRPC one."""
    return HTTP_STATUS.get(code, HTTP_STATUS[status.UNKNOWN])
