"""The JSON gateway: /v3/* (and /v3beta/*) over HTTP/1.1 and WebSocket.

An ASGI application. Each request becomes a call that the handlers of the gRPC services answer, found in the same table:
there is no second implementation of anything.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

from starlette.types import Receive, Scope, Send

from raftwerk.api import status
from raftwerk.http2 import grpc
from raftwerk.http2.server import Limits, Method, Methods, StreamMethod, UnaryMethod
from raftwerk.server import gateway_json
from raftwerk.server.gateway_call import GatewayCall
from raftwerk.server.gateway_exchange import (
    Exchange,
    Headers,
    HttpExchange,
    WebSocketExchange,
    error_text,
    in_parts,
    joined,
    status_code,
    stream_error_text,
)
from raftwerk.server.gateway_json import BadJson, JsonSplitter
from raftwerk.server.gateway_routes import Route, routes

LARGE_BYTES: Final = 64 * 1024
"""Larger requests are read beside the loop, larger answers translated in pieces."""
LARGE_PARTS: Final = 500
"""Requests of more parts are read beside the loop too."""
OPERATION_PARTS: Final = 16
"""Of a transaction's operation, with the comparison that may belong to it."""
_METADATA: Final = b"grpc-metadata-"
_PASSED_ON: Final = frozenset((b"authorization", b"user-agent"))


class _Gone(Exception):
    """The client left before its request was complete."""


class Gateway:
    """See the module's text."""

    def __init__(self, methods: Methods, limits: Limits, txn_ops_max: int) -> None:
        """txn_ops_max: whoever allows longer transactions has to wait for longer requests to be read."""
        self._parts_max = max(gateway_json.PARTS_MAX, OPERATION_PARTS * txn_ops_max)
        self._methods = methods
        self._limits = limits
        self._body_bytes_max = (
            limits.message_bytes_max * 3 // 2
        )  # base64 takes four bytes for three
        self._routes = routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        route = self._routes.get(path)
        if scope["type"] == "websocket":
            await self._on_websocket(route, scope, receive, send)
            return
        http = HttpExchange(scope, receive, send)
        if route is None:
            await http.refuse(404, "Not Found\n")
        elif scope["method"] != "POST":
            await http.refuse(405, "Method Not Allowed\n")
        else:
            await self._serve(route, http)

    async def _on_websocket(
        self, route: Route | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        exchange = WebSocketExchange(scope, receive, send)
        if route is None:
            await receive()
            await send({"type": "websocket.close"})  # before it was accepted: 403
            return
        await exchange.accept()
        await self._serve(route, exchange)

    async def _serve(self, route: Route, exchange: Exchange) -> None:
        method = self._methods.find(route.method)
        if isinstance(method, str):
            await _refuse(exchange, status.UNIMPLEMENTED, method)
            return
        call = self._call(route, method, exchange)
        if isinstance(method, StreamMethod):
            await self._stream(route, method, call, exchange)
        else:
            await self._unary(route, method, call, exchange)

    def _call(self, route: Route, method: Method, exchange: Exchange) -> GatewayCall:
        timeout_s = None
        metadata: Headers = []
        for name, value in exchange.headers:
            if name.startswith(_METADATA):
                metadata.append((name.removeprefix(_METADATA), value))
            elif name in _PASSED_ON:
                metadata.append((name, value))
            elif name == b"grpc-timeout":
                timeout_s = grpc.parse_timeout_s(value)
        return GatewayCall(route.method, method, metadata, timeout_s, self._limits, exchange.hold)

    # One request, one answer

    async def _unary(
        self, route: Route, method: UnaryMethod, call: GatewayCall, exchange: Exchange
    ) -> None:
        try:
            request = await self._read(route, await self._first(exchange))
        except _Gone:
            return
        except BadJson as error:
            await _refuse(exchange, status.INVALID_ARGUMENT, str(error))
            return
        if len(request) > self._limits.message_bytes_max:
            size, most = len(request), self._limits.message_bytes_max
            text = f"grpc: received message larger than max ({size} vs. {most})"
            await _refuse(exchange, status.RESOURCE_EXHAUSTED, text)
            return

        async def listen() -> None:
            await exchange.left()
            call.cancel()

        async def answer() -> None:
            message = await call.next_message()
            if message is None:
                assert call.outcome is not None
                await _refuse(exchange, *call.outcome)
            else:
                await self._answer(route, message, exchange)

        method.handle(call, request)
        await _both(listen(), answer(), call)

    async def _first(self, exchange: Exchange) -> bytes:
        """The first JSON value of a request; what follows it is passed over, as in etcd."""
        splitter = JsonSplitter(self._body_bytes_max)
        is_empty = True
        async for piece in in_parts(exchange.pieces()):
            is_empty = False
            values = splitter.feed(piece)
            if values:
                return values[0]
        if is_empty:
            raise _Gone
        return splitter.rest()

    async def _read(self, route: Route, text: bytes) -> bytes:
        """The request, serialized: the handlers parse it as they parse any other."""

        def read() -> bytes:
            return gateway_json.decode(route.request, text, self._parts_max).SerializeToString()

        is_large = len(text) >= LARGE_BYTES or gateway_json.count_parts(text) >= LARGE_PARTS
        return await asyncio.to_thread(read) if is_large else read()

    async def _answer(self, route: Route, data: bytes, exchange: Exchange) -> None:
        if len(data) < LARGE_BYTES:
            await exchange.answer(200, gateway_json.encode(route.response.FromString(data)))
        else:
            pieces = gateway_json.encode_in_pieces(route.response, data)
            await exchange.answer_in_pieces(pieces)

    async def _text(self, route: Route, data: bytes) -> str:
        """A message of a stream as JSON."""
        if len(data) < LARGE_BYTES:
            return gateway_json.encode(route.response.FromString(data))
        return await joined(gateway_json.encode_in_pieces(route.response, data))

    # Streams

    async def _stream(
        self, route: Route, method: StreamMethod, call: GatewayCall, exchange: Exchange
    ) -> None:
        method.open(call)

        async def listen() -> None:
            try:
                await self._feed(route, call, exchange)
            except BadJson as error:
                code = status.UNKNOWN if route.takes_many else status.INVALID_ARGUMENT
                call.cancel(code, str(error))
            await exchange.left()
            call.cancel()

        async def answer() -> None:
            has_answered = False
            while (message := await call.next_message()) is not None:
                has_answered = True
                await exchange.stream('{"result":' + await self._text(route, message) + "}")
            assert call.outcome is not None
            code, text = call.outcome
            if code != status.OK and not has_answered:
                await _refuse(exchange, code, text)
                return
            if code != status.OK:
                await exchange.stream(stream_error_text(code, text))
            await exchange.end()

        await _both(listen(), answer(), call)

    async def _feed(self, route: Route, call: GatewayCall, exchange: Exchange) -> None:
        """Hand the requests of a stream to its handler, as they come. Raises BadJson."""
        splitter = JsonSplitter(self._body_bytes_max)
        count = 0
        async for piece in in_parts(exchange.pieces()):
            for text in splitter.feed(piece):
                if count and not route.takes_many:
                    return
                count += 1
                await self._hand_over(route, call, text)
                await asyncio.sleep(0)  # there may be very many
        rest = splitter.rest()
        if rest or not (count or route.takes_many):
            await self._hand_over(route, call, rest)
        if call.on_half_close is not None and not call.is_over:
            call.on_half_close()

    async def _hand_over(self, route: Route, call: GatewayCall, text: bytes) -> None:
        request = await self._read(route, text)
        call.on_messages([request], is_last=False)


async def _refuse(exchange: Exchange, code: int, text: str) -> None:
    await exchange.answer(status_code(code), error_text(code, text))


async def _both(listen: Awaitable[None], answer: Awaitable[None], call: GatewayCall) -> None:
    """Listen to the client for as long as it gets its answer; whatever happens, the call is over then."""
    listening = asyncio.ensure_future(listen)
    try:
        await answer
    finally:
        listening.cancel()
        call.cancel()
        call.let_go()
        await asyncio.wait([listening])
    if not listening.cancelled():
        listening.result()  # what went wrong there is not passed over
