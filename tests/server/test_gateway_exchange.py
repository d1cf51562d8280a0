"""Requests and answers over both transports."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from raftwerk.server.gateway_exchange import (
    PART_BYTES,
    HttpExchange,
    WebSocketExchange,
    error_text,
    in_parts,
    status_code,
    stream_error_text,
)
from raftwerk.server.http1_transport import HOLD

Message = dict[str, Any]
Body = Callable[[Any], Coroutine[Any, Any, object]]


def run(kind: Any, scope: Message, received: list[Message], body: Body) -> list[Message]:
    """What was sent."""
    sent: list[Message] = []
    waiting = iter(received)

    async def receive() -> Any:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(body(kind({"headers": [], "state": {HOLD: int}, **scope}, receive, send)))  # type: ignore[arg-type]
    return sent


async def pieces(exchange: Any) -> list[bytes]:
    return [piece async for piece in exchange.pieces()]


def test_body_comes_in_pieces() -> None:
    async def body(exchange: HttpExchange) -> None:
        assert await pieces(exchange) == [b"1", b"2"]
        await exchange.left()

    first = {"type": "http.request", "body": b"1", "more_body": True}
    last = {"type": "http.request", "body": b"2"}
    assert run(HttpExchange, {}, [first, last, {"type": "http.disconnect"}], body) == []


def test_body_ends_with_the_connection() -> None:
    async def body(exchange: HttpExchange) -> None:
        assert await pieces(exchange) == []

    assert run(HttpExchange, {}, [{"type": "http.disconnect"}], body) == []


def test_http_answer_is_whole() -> None:
    start, body = run(HttpExchange, {}, [], lambda exchange: exchange.answer(404, "{}"))
    assert start["status"] == 404
    assert (b"content-length", b"2") in start["headers"]
    assert (b"content-type", b"application/json") in start["headers"]
    assert body["body"] == b"{}"


def test_http_stream_is_a_line_for_each_message() -> None:
    async def body(exchange: HttpExchange) -> None:
        await exchange.stream("1")
        await exchange.stream("2")
        await exchange.end()

    start, *parts = run(HttpExchange, {}, [], body)
    assert start["status"] == 200
    assert [(one["body"], one.get("more_body", False)) for one in parts] == [
        (b"1\n", True),
        (b"2\n", True),
        (b"", False),
    ]


def test_empty_http_stream_is_an_answer_too() -> None:
    start, end = run(HttpExchange, {}, [], lambda exchange: exchange.end())
    assert (start["status"], end["body"]) == (200, b"")


def test_websocket_carries_text_both_ways() -> None:
    async def body(exchange: WebSocketExchange) -> None:
        await exchange.accept()
        assert await pieces(exchange) == [b"{}", b"[]"]
        await exchange.left()  # it is told once that the client has gone
        await exchange.stream("1")
        await exchange.end()

    received = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "{}"},
        {"type": "websocket.receive", "bytes": b"[]"},
        {"type": "websocket.disconnect"},
    ]
    assert run(WebSocketExchange, {}, received, body) == [
        {"type": "websocket.accept", "subprotocol": None},
        {"type": "websocket.send", "text": "1"},
        {"type": "websocket.close", "code": 1000},
    ]


@pytest.mark.parametrize(
    ("offered", "headers", "subprotocol"),
    [
        (["Bearer", "abc.5"], [(b"authorization", b"Bearer abc.5")], "Bearer"),
        (["bearer"], [], None),
        (["chat", "abc"], [], None),
    ],
)
def test_websocket_takes_its_token_as_a_subprotocol(
    offered: list[str], headers: list[tuple[bytes, bytes]], subprotocol: str | None
) -> None:
    async def body(exchange: WebSocketExchange) -> None:
        await exchange.accept()
        assert exchange.headers == headers

    scope = {"subprotocols": offered}
    (accept,) = run(WebSocketExchange, scope, [{"type": "websocket.connect"}], body)
    assert accept["subprotocol"] == subprotocol


def test_errors_have_etcds_form() -> None:
    assert json.loads(error_text(3, "no")) == {"error": "no", "code": 3, "message": "no"}
    assert json.loads(stream_error_text(14, "no")) == {
        "error": {
            "grpc_code": 14,
            "http_code": 503,
            "message": "no",
            "http_status": "Service Unavailable",
        }
    }


@pytest.mark.parametrize(("code", "http"), [(0, 200), (5, 404), (8, 429), (9, 400), (77, 500)])
def test_grpc_codes_have_http_statuses(code: int, http: int) -> None:
    assert status_code(code) == http


def test_large_pieces_are_looked_at_in_parts() -> None:
    """Others get a turn between any two of them; an empty piece is one too."""

    async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def main() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.ensure_future(others())
        seen = []
        text = bytes(range(256)) * 128
        async for part in in_parts(pieces_of(b"", text, text[:10])):
            seen.append(part)
            assert turns >= len(seen) - 1
        other.cancel()
        assert b"".join(seen) == text + text[:10]
        assert [len(part) for part in seen] == [0, *[PART_BYTES] * 8, 10]

    asyncio.run(main())
