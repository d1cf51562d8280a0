"""Connections that come and go leave nothing for the garbage collector, whatever they were for: of two thousand that did, a run
of it took a tenth of a second.

On uvloop, as a server runs: a transport of asyncio's own leaves a circle with each connection, whatever uses it.
"""

import asyncio

import pytest
import uvloop
from google.protobuf.message import Message

from raftwerk.api.lease_pb2 import LeaseKeepAliveRequest
from raftwerk.api.lock_pb2 import LockRequest
from raftwerk.api.rpc_pb2 import PutRequest, RangeRequest
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest
from raftwerk.http2.client import ClientConnection
from raftwerk.http2.frames import END_HEADERS, HEADERS, PREFACE, WINDOW_UPDATE, frame
from raftwerk.http2.limits import Limits
from raftwerk.runtime.settings import Settings
from tests.garbage import garbage
from tests.server.port_rig import PUT, GrpcConnection, Port

RANGE = "/etcdserverpb.KV/Range"
WATCH = "/etcdserverpb.Watch/Watch"
KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"
CREATE = WatchRequest(create_request=WatchCreateRequest(key=b"a"))
HTTP1 = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
PROGRESS = WatchRequest(create_request=WatchCreateRequest(key=b"a", progress_notify=True))
HELLO = ClientConnection("rig", Limits()).take_output()
BODY = b'{"key": "YQ==", "value": "YQ=="}'
POST = (
    b"POST /v3/kv/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
)


POST_WATCH = (
    b"POST /v3/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 35\r\n\r\n"
    b'{"create_request": {"key": "YQ=="}}'
)
POST_KEEP_ALIVE = (
    b'POST /v3/lease/keepalive HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"ID": 5}'
)


def resets() -> bytes:
    """More streams that break the protocol than a server puts up with."""
    client, frames = ClientConnection("rig", Limits()), []
    client.take_output()
    for _ in range(Limits().resets_max + 1):
        opened = client.open(WATCH, lambda _: None, lambda _: None)
        client.streams.clear()
        frames.append(client.take_output())
        frames.append(frame(WINDOW_UPDATE, 0, opened.stream_id, bytes(4)))
    client.lost()
    return b"".join(frames)


async def leave(port: Port, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close, and wait until the server has done so too."""
    writer.write_eof()
    while await reader.read(65536):
        pass
    writer.close()
    await writer.wait_closed()
    while port.server._connections:
        await asyncio.sleep(0)
    for _ in range(10):  # the loop, too, lets go of it
        await asyncio.sleep(0)


async def call(port: Port, path: str, request: Message) -> None:
    """A call that is answered."""
    connection = GrpcConnection(*await asyncio.open_connection("127.0.0.1", port.number))
    await connection.call(path, request.SerializeToString())
    await leave(port, connection.reader, connection.writer)
    connection.engine.lost()


async def stream(port: Port, path: str, request: Message) -> None:
    """A stream that has answered once, and is open as the client goes."""
    connection = GrpcConnection(*await asyncio.open_connection("127.0.0.1", port.number))
    messages: list[bytes] = []
    opened = connection.engine.open(path, connection.answers.append, messages.append)
    opened.send(request.SerializeToString())
    connection.writer.write(connection.engine.take_output())
    while not messages:
        connection.engine.receive(await connection.reader.read(65536))
    await leave(port, connection.reader, connection.writer)
    connection.engine.lost()


async def half_closed(port: Port, path: str, request: Message, more: bytes = b"") -> None:
    """A stream whose client says that it has said all, after some bytes more, and reads it to its end."""
    connection = GrpcConnection(*await asyncio.open_connection("127.0.0.1", port.number))
    opened = connection.engine.open(path, connection.answers.append, bytes)
    opened.send(request.SerializeToString())
    if more:
        connection.engine.send_data(opened, (more,))
    opened.half_close()
    connection.writer.write(connection.engine.take_output())
    await connection.answer()
    await leave(port, connection.reader, connection.writer)
    connection.engine.lost()


async def plain(port: Port, data: bytes) -> None:
    """Anything but gRPC."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(data)
    await leave(port, reader, writer)


VISITS = {
    "put": lambda port: call(port, PUT, PutRequest(key=b"a", value=b"1")),
    "range": lambda port: call(port, RANGE, RangeRequest(key=b"a")),
    "refused": lambda port: call(port, "/v3lockpb.Lock/Lock", LockRequest(name=b"a", lease=5)),
    "unknown": lambda port: call(port, "/nothing", PutRequest()),
    "watch": lambda port: stream(port, WATCH, CREATE),
    "keep-alive": lambda port: stream(port, KEEP_ALIVE, LeaseKeepAliveRequest(ID=5)),
    "watch, progress": lambda port: stream(port, WATCH, PROGRESS),
    "watch, bad message": lambda port: half_closed(port, WATCH, CREATE, b"\7\0\0\0\1a"),
    "watch, bad gzip": lambda port: half_closed(port, WATCH, CREATE, b"\1\0\0\0\1a"),
    "keep-alive to its end": lambda port: half_closed(
        port, KEEP_ALIVE, LeaseKeepAliveRequest(ID=5)
    ),
    "gateway, watch": lambda port: plain(port, POST_WATCH),
    "gateway, keep-alive": lambda port: plain(port, POST_KEEP_ALIVE),
    "bad headers": lambda port: plain(port, HELLO + frame(HEADERS, END_HEADERS, 1, b"\xff" * 20)),
    "resets": lambda port: plain(port, HELLO + resets()),
    "HTTP/1.1": lambda port: plain(port, HTTP1),
    "gateway": lambda port: plain(port, POST),
    "gateway, refused": lambda port: plain(port, POST.replace(b'"key"', b'"kex"')),
    "metrics": lambda port: plain(port, HTTP1.replace(b"/health", b"/metrics")),
    "not found": lambda port: plain(port, HTTP1.replace(b"/health", b"/nothing")),
    "broken frame": lambda port: plain(port, PREFACE + b"\xff" * 100),
    "nothing": lambda port: plain(port, b""),
    "no protocol": lambda port: plain(port, b"PRI * HTTP/1.1\r\n\r\n"),
}


@pytest.mark.parametrize("visit", VISITS)
def test_connection_leaves_no_garbage(visit: str) -> None:
    async def test() -> set[type]:
        port = Port(Settings())
        await port.server.start()
        try:
            await VISITS[visit](port)
            with garbage() as left:
                await VISITS[visit](port)
        finally:
            await port.close()
        return left

    assert uvloop.run(test()) == set()
