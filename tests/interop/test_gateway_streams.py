"""Streams through the JSON gateway: chunked HTTP and WebSocket, beside etcd's."""

import http.client
import json
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Request, TextMessage

from raftwerk.cli.cluster import LocalCluster, Member
from tests.conftest import StartCluster
from tests.interop.gateway_client import Answer, ask, normal, revision

PUT = '{"key":"d2F0Y2g=","value":"MQ=="}'


def watch_from(start: int) -> str:
    return (
        f'{{"create_request":{{"key":"d2F0Y2g=","start_revision":"{start + 1}","prev_kv":true}}}}'
    )


def plain(text: str, start: int) -> Any:
    return normal(Answer(200, None, text), start)[2]


@contextmanager
def streaming(member: Member, path: str, body: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=10)
    with closing(connection):
        connection.request("POST", path, body)
        yield connection.getresponse()


def watch_over_http(member: Member) -> list[Any]:
    """Three answers: created, what happened before, what happens then."""
    start = revision(member)
    ask(member, "POST", "/v3/kv/put", PUT)
    with streaming(member, "/v3/watch", watch_from(start)) as answer:
        lines = [answer.readline().decode(), answer.readline().decode()]
        ask(member, "POST", "/v3/kv/deleterange", '{"key":"d2F0Y2g="}')
        lines.append(answer.readline().decode())
        kind = answer.getheader("Content-Type"), answer.getheader("Transfer-Encoding")
    found = [plain(line, start) for line in lines]
    found[0][0]["result"]["header"]["revision"] = ""  # that of the store when the watch was created
    return [kind, *found]


def test_watch_is_streamed_as_etcds(cluster: LocalCluster, etcd: Sequence[Member]) -> None:
    assert watch_over_http(cluster.members[0]) == watch_over_http(etcd[0])


def test_renewal_of_a_lease_is_a_stream_of_one(
    cluster: LocalCluster, etcd: Sequence[Member]
) -> None:
    found = []
    for member in (cluster.members[1], etcd[1]):
        start = revision(member)
        ask(member, "POST", "/v3/lease/grant", '{"TTL":"600","ID":"4242"}')
        body = '{"ID":"4242"}'
        found.append(normal(ask(member, "POST", "/v3/lease/keepalive", body), start))
        ask(member, "POST", "/v3/lease/revoke", body)
    assert found[0] == found[1]


class WebSocket:
    """A client on the sans-I/O half of a library: an implementation that is not the server's own."""

    def __init__(self, member: Member, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", member.client_port), timeout=10)
        self._engine = WSConnection(ConnectionType.CLIENT)
        host = f"127.0.0.1:{member.client_port}"
        self._socket.sendall(self._engine.send(Request(host=host, target=path)))
        assert isinstance(self._next(), AcceptConnection)

    def _next(self) -> Any:
        while True:
            for event in self._engine.events():
                return event
            data = self._socket.recv(65536)
            self._engine.receive_data(data or None)

    def send(self, text: str) -> None:
        self._socket.sendall(self._engine.send(Message(data=text)))

    def text(self) -> str:
        """The next message, whole."""
        parts = []
        while True:
            event = self._next()
            assert isinstance(event, TextMessage), event
            parts.append(event.data)
            if event.message_finished:
                return "".join(parts)

    def is_closed_by_server(self) -> bool:
        event = self._next()
        return isinstance(event, CloseConnection) and event.code == 1000

    def close(self) -> None:
        self._socket.close()


def watch_over_websocket(member: Member) -> list[Any]:
    start = revision(member)
    with closing(WebSocket(member, "/v3/watch")) as client:
        client.send(watch_from(start))
        created = plain(client.text(), start)
        ask(member, "POST", "/v3/kv/put", PUT)
        changed = plain(client.text(), start)
        client.send('{"create_request":{"key":"d2F0Y2g=","watch_id":"7"}}')
        second = plain(client.text(), start)
    return [created, changed, second]


def test_watch_goes_on_over_a_websocket_as_etcds(
    cluster: LocalCluster, etcd: Sequence[Member]
) -> None:
    assert watch_over_websocket(cluster.members[2]) == watch_over_websocket(etcd[2])


def test_websocket_carries_a_single_call_and_ends(cluster: LocalCluster) -> None:
    with closing(WebSocket(cluster.members[0], "/v3/kv/range")) as client:
        client.send('{"key":"d2F0Y2g="}')
        assert "header" in json.loads(client.text())
        assert client.is_closed_by_server()


def test_stream_of_a_member_that_stops_ends_in_order(start_cluster: StartCluster) -> None:
    """Its client is told, and nothing breaks off."""
    (member,) = start_cluster(1).members
    assert member.process is not None
    with streaming(member, "/v3/watch", watch_from(1)) as answer:
        assert b'"created":true' in answer.readline()
        member.process.send_signal(signal.SIGTERM)
        last = json.loads(answer.readline())
        assert last["error"]["message"] == "etcdserver: server stopped"
        assert answer.read() == b""
    assert member.process.wait(10) == 0
    assert "Traceback" not in member.log.read_text()
