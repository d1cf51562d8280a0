"""The gateway as an ASGI application over small handlers."""

import asyncio
import json
from typing import Any, NamedTuple

import pytest

from raftwerk.api import kv_pb2, rpc_pb2, status, watch_pb2
from raftwerk.http2.server import Call, Limits, StreamMethod, UnaryMethod
from raftwerk.server.gateway import LARGE_PARTS, Gateway
from raftwerk.server.gateway_json import encode
from raftwerk.server.http1_transport import HOLD
from raftwerk.server.methods import MethodTable

LIMITS = Limits(message_bytes_max=200_000)


class Answer(NamedTuple):
    status: int
    body: str


class Handlers:
    """What is behind the gateway."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.calls: list[Call] = []
        self.cancelled = 0
        self.is_half_closed = False
        self.txn_ops_max = 128
        self.held: list[int] = []
        """Bytes of answers that were kept, whenever it changed."""

    def gateway(self) -> Gateway:
        methods = {
            "/etcdserverpb.KV/Range": UnaryMethod(self.range),
            "/etcdserverpb.KV/Put": UnaryMethod(self.wait),
            "/etcdserverpb.KV/Txn": UnaryMethod(self.txn),
            "/etcdserverpb.KV/DeleteRange": UnaryMethod(self.refuse),
            "/etcdserverpb.Watch/Watch": StreamMethod(self.watch),
            "/etcdserverpb.Maintenance/Snapshot": StreamMethod(self.snapshot),
        }
        return Gateway(MethodTable(methods), LIMITS, self.txn_ops_max)

    def _on_cancel(self) -> None:
        self.cancelled += 1

    def range(self, call: Call, data: bytes) -> None:
        self.calls.append(call)
        request = rpc_pb2.RangeRequest.FromString(data)
        self.requests.append(request)
        call.reply(rpc_pb2.RangeResponse(count=len(request.key)).SerializeToString())

    def txn(self, call: Call, data: bytes) -> None:
        self.requests.append(rpc_pb2.TxnRequest.FromString(data))
        call.reply(b"")

    def wait(self, call: Call, data: bytes) -> None:
        """Until the client has gone."""
        call.on_cancel = self._on_cancel

    def refuse(self, call: Call, data: bytes) -> None:
        call.finish(status.NOT_FOUND, "no such thing")

    def watch(self, call: Call) -> None:
        def on_message(data: bytes) -> None:
            request = watch_pb2.WatchRequest.FromString(data)
            self.requests.append(request)
            response = watch_pb2.WatchResponse(watch_id=request.create_request.watch_id)
            call.send(response.SerializeToString())
            if request.HasField("cancel_request"):
                call.finish(status.UNAVAILABLE, "no more")

        def on_half_close() -> None:
            self.is_half_closed = True
            call.finish()

        call.on_message = on_message
        call.on_half_close = on_half_close
        call.on_cancel = self._on_cancel

    def snapshot(self, call: Call) -> None:
        def on_message(_: bytes) -> None:
            call.send(rpc_pb2.SnapshotResponse(blob=b"1").SerializeToString())
            call.finish()

        call.on_message = on_message


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


def talk(
    handlers: Handlers, scope: dict[str, Any], received: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What the gateway sends. After `received` the client waits; "gone" in it: once something has been sent, or at once."""
    sent: list[dict[str, Any]] = []
    waiting = iter(received)

    async def receive() -> Any:
        message = next(waiting, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    base = {"root_path": "/v3", "headers": [], "method": "POST", "type": "http"}
    base["state"] = {HOLD: handlers.held.append}
    asyncio.run(handlers.gateway()({**base, **scope}, receive, send))
    return sent


GONE = {"type": "http.disconnect"}


def post(
    handlers: Handlers,
    path: str,
    *bodies: bytes,
    is_gone: bool = False,
    method: str = "POST",
    headers: list[tuple[bytes, bytes]] | None = None,
) -> Answer:
    parts = [
        {"type": "http.request", "body": body, "more_body": number < len(bodies)}
        for number, body in enumerate(bodies, 1)
    ]
    scope = {"path": f"/v3{path}", "method": method, "headers": headers or []}
    start, *rest = talk(handlers, scope, [*parts, GONE] if is_gone else parts)
    return Answer(start["status"], b"".join(one["body"] for one in rest).decode())


def test_request_is_answered_by_the_handler(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/range", b'{"key":"YWI="}')
    assert answer == Answer(200, '{"count":"2"}')
    assert handlers.requests == [rpc_pb2.RangeRequest(key=b"ab")]


def test_request_may_come_in_pieces(handlers: Handlers) -> None:
    assert post(handlers, "/kv/range", b'{"key":', b'"YWI="', b"}").body == '{"count":"2"}'


def test_large_messages_are_translated_too(handlers: Handlers) -> None:
    key = b"YWFh" * 30_000
    assert post(handlers, "/kv/range", b'{"key":"' + key + b'"}').body == '{"count":"90000"}'


def test_large_answer_comes_in_pieces(handlers: Handlers) -> None:
    """Between which others get their turn. Whoever cannot take it in pieces gets it whole."""
    kvs = [kv_pb2.KeyValue(key=b"%d" % number, value=bytes(1000)) for number in range(200)]
    response = rpc_pb2.RangeResponse(kvs=kvs, count=200)

    def reply(call: Call, _: bytes) -> None:
        call.reply(response.SerializeToString())

    handlers.range = reply  # type: ignore[method-assign]
    scope = {"path": "/v3/kv/range"}
    start, *parts = talk(handlers, scope, [{"type": "http.request", "body": b"{}"}])
    assert start["status"] == 200
    assert len(parts) > 10
    assert b"".join(part["body"] for part in parts).decode() == encode(response)
    assert websocket(handlers, "/kv/range", "{}")[1] == encode(response)


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"{} trailing nonsense"])
def test_empty_request_is_one(handlers: Handlers, body: bytes) -> None:
    assert post(handlers, "/kv/range", body) == Answer(200, "{}")


def test_refusal_has_its_http_status(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/deleterange", b"{}")
    assert answer.status == 404
    text = "no such thing"
    assert json.loads(answer.body) == {"error": text, "code": 5, "message": text}


def test_request_that_cannot_be_read_is_refused(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/range", b'{"key":"?"}')
    assert (answer.status, json.loads(answer.body)["code"]) == (400, status.INVALID_ARGUMENT)
    assert handlers.requests == []


def test_too_large_request_is_refused(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/range", b'{"key":"' + b"YWFh" * 70_000 + b'"}')
    assert (answer.status, json.loads(answer.body)["code"]) == (429, status.RESOURCE_EXHAUSTED)
    assert handlers.requests == []


def test_method_that_is_not_served_is_refused(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/compaction", b"{}")
    assert (answer.status, json.loads(answer.body)["code"]) == (501, status.UNIMPLEMENTED)


@pytest.mark.parametrize(
    ("method", "path", "http_status"),
    [("POST", "/nonsense", 404), ("GET", "/kv/range", 405)],
)
def test_other_requests_have_plain_answers(
    handlers: Handlers, method: str, path: str, http_status: int
) -> None:
    answer = post(handlers, path, b"", method=method)
    assert answer.status == http_status
    assert not answer.body.startswith("{")


def test_headers_become_metadata(handlers: Handlers) -> None:
    headers = [
        (b"authorization", b"token"),
        (b"grpc-metadata-hasleader", b"true"),
        (b"grpc-timeout", b"2S"),
        (b"cookie", b"x"),
    ]
    post(handlers, "/kv/range", b"{}", headers=headers)
    request = handlers.calls[0].request
    assert request.headers == [(b"authorization", b"token"), (b"hasleader", b"true")]
    assert request.timeout_s == 2


def test_call_ends_when_its_client_leaves(handlers: Handlers) -> None:
    answer = post(handlers, "/kv/put", b"{}", is_gone=True)
    assert handlers.cancelled == 1
    assert answer.status == 408


CREATE = b'{"create_request":{"watch_id":"%d"}}'


def test_stream_answers_a_line_for_each_message(handlers: Handlers) -> None:
    answer = post(handlers, "/watch", CREATE % 1 + CREATE % 2)
    assert answer.status == 200
    assert answer.body == '{"result":{"watch_id":"1"}}\n{"result":{"watch_id":"2"}}\n'
    assert handlers.is_half_closed


def test_stream_that_fails_at_once_has_its_http_status(handlers: Handlers) -> None:
    answer = post(handlers, "/watch", b"xx", is_gone=True)
    assert (answer.status, json.loads(answer.body)["code"]) == (500, status.UNKNOWN)
    assert handlers.cancelled == 1


def test_stream_that_fails_later_says_so_in_its_last_line(handlers: Handlers) -> None:
    answer = post(handlers, "/watch", CREATE % 1 + b'{"cancel_request":{}}')
    *_, last = answer.body.splitlines()
    assert answer.status == 200
    assert json.loads(last)["error"]["grpc_code"] == status.UNAVAILABLE


@pytest.mark.parametrize("body", [b"", b"{}", b"{}{}"])
def test_stream_of_one_request_takes_one(handlers: Handlers, body: bytes) -> None:
    assert post(handlers, "/maintenance/snapshot", body).body == '{"result":{"blob":"MQ=="}}\n'


def websocket(handlers: Handlers, path: str, *texts: str, is_gone: bool = False) -> list[Any]:
    received: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    received += [{"type": "websocket.receive", "text": text} for text in texts]
    if is_gone:
        received.append({"type": "websocket.disconnect"})
    sent = talk(handlers, {"path": f"/v3{path}", "type": "websocket"}, received)
    return [one.get("text", one["type"]) for one in sent]


def test_websocket_carries_a_stream(handlers: Handlers) -> None:
    texts = [(CREATE % number).decode() for number in (1, 2)]
    assert websocket(handlers, "/watch", *texts, is_gone=True) == [
        "websocket.accept",
        '{"result":{"watch_id":"1"}}',
        '{"result":{"watch_id":"2"}}',
        "websocket.close",
    ]


def test_websocket_carries_a_single_call(handlers: Handlers) -> None:
    assert websocket(handlers, "/kv/range", '{"key":"YQ=="}') == [
        "websocket.accept",
        '{"count":"1"}',
        "websocket.close",
    ]


def test_websocket_to_nowhere_is_refused(handlers: Handlers) -> None:
    assert websocket(handlers, "/nonsense") == ["websocket.close"]


def test_websocket_client_that_leaves_ends_its_call(handlers: Handlers) -> None:
    websocket(handlers, "/kv/put", "{}", is_gone=True)
    assert handlers.cancelled == 1


def test_what_goes_wrong_while_listening_is_not_passed_over(handlers: Handlers) -> None:
    def broken(_: Call, __: bytes) -> None:
        raise AssertionError("a bug")

    handlers.range = broken  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="a bug"):
        post(handlers, "/kv/range", b"{}")


@pytest.mark.parametrize("is_gone", [True, False])
def test_answer_is_held_until_it_is_passed_on(handlers: Handlers, *, is_gone: bool) -> None:
    """Nothing is at the end, also when the client has left."""
    post(handlers, "/kv/range", b'{"key":"YWI="}', is_gone=is_gone)
    assert handlers.held == [2, 0]


def txn_of(count: int) -> bytes:
    put = {"requestPut": {"key": "YQ==", "value": "YQ=="}}
    return json.dumps({"success": [put] * count}).encode()


@pytest.mark.parametrize("count", [100, LARGE_PARTS], ids=["short", "beside the loop"])
def test_transaction_is_read_whole(handlers: Handlers, count: int) -> None:
    assert post(handlers, "/kv/txn", txn_of(count)).status == 200
    (request,) = handlers.requests
    assert len(request.success) == count


@pytest.mark.parametrize(("txn_ops_max", "http_status"), [(128, 400), (10_000, 200)])
def test_transaction_of_more_parts_than_it_may_have_is_not_read(
    handlers: Handlers, txn_ops_max: int, http_status: int
) -> None:
    """Reading it would hold up everybody. Whoever allows so many operations has allowed that too."""
    handlers.txn_ops_max = txn_ops_max
    answer = post(handlers, "/kv/txn", txn_of(5_500))
    assert answer.status == http_status
    assert len(handlers.requests) == (http_status == 200)
