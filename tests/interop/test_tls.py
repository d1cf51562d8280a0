"""Three members that speak only TLS, to each other and to clients: etcdctl, HTTP/1.1 and HTTP/2 with and without ALPN."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raftwerk.cli.cluster import Member, free_ports
from raftwerk.client import CallFailed
from raftwerk.sync import Client
from tests.certificates import Authority
from tests.conftest import FAST
from tests.interop.etcdctl import ETCDCTLS
from tests.waiting import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


@dataclass
class TlsCluster:
    """Members, and who signs their certificates."""

    members: list[Member]
    authority: Authority
    folder: Path

    def context(self, *, name: str | None = "client") -> ssl.SSLContext:
        """Of a client with a certificate, or without one."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if name is not None:
            context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context

    def connect(self, context: ssl.SSLContext, place: int = 0) -> ssl.SSLSocket:
        port = self.members[place].client_port
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def post(self, path: str, body: str = "{}", place: int = 0) -> tuple[int, str]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.members[place].client_port, context=self.context(), timeout=10
        )
        try:
            connection.request("POST" if path.startswith("/v3") else "GET", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_ready(self, place: int) -> bool:
        try:
            return self.post("/health", place=place)[0] == 200
        except (OSError, http.client.HTTPException):
            return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsCluster]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    for serial, name in enumerate(("client", "node1", "node2", "node3"), 10):
        authority.issue(name, serial)
    crl = authority.revoke(999)
    members = [
        Member(f"node{number}", client, peer, folder / f"data{number}", folder / f"{number}.log")
        for number, (client, peer) in enumerate(free_ports(3), 1)
    ]
    cluster = TlsCluster(members, authority, folder)
    try:
        for member in members:
            start(cluster, member, crl)
        until(lambda: all(map(cluster.is_ready, range(3))), "the members are not ready")
        yield cluster
    finally:
        for member in members:
            if member.process is not None:
                member.process.kill()
                member.process.wait()


def start(cluster: TlsCluster, member: Member, crl: Path) -> None:
    files = {
        "cert-file": cluster.folder / f"{member.name}.crt",
        "key-file": cluster.folder / f"{member.name}.key",
        "trusted-ca-file": cluster.authority.file,
    }
    peers = ",".join(f"{one.name}=https://127.0.0.1:{one.peer_port}" for one in cluster.members)
    command = [
        *(sys.executable, "-m", "raftwerk.cli", "serve", *FAST),
        f"--name={member.name}",
        f"--data-dir={member.folder}",
        f"--listen-client-urls=https://127.0.0.1:{member.client_port}",
        f"--listen-peer-urls=https://127.0.0.1:{member.peer_port}",
        f"--initial-cluster={peers}",
        *(f"--{name}={file}" for name, file in files.items()),
        *(f"--peer-{name}={file}" for name, file in files.items()),
        *("--client-cert-auth", "--peer-client-cert-auth", f"--client-crl-file={crl}"),
    ]
    environment = {name: value for name, value in os.environ.items() if "ETCD" not in name}
    with member.log.open("ab") as log:
        member.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)


@pytest.mark.parametrize("version", ETCDCTLS)
def test_etcdctl_speaks_tls(cluster: TlsCluster, version: str) -> None:
    def run(*arguments: str) -> str:
        ends = ",".join(f"https://127.0.0.1:{one.client_port}" for one in cluster.members)
        command = [
            str(ETCDCTLS[version]),
            f"--endpoints={ends}",
            f"--cacert={cluster.authority.file}",
            f"--cert={cluster.folder / 'client.crt'}",
            f"--key={cluster.folder / 'client.key'}",
            *arguments,
        ]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("put", "key", version) == "OK\n"
    assert run("get", "key") == f"key\n{version}\n"
    assert run("endpoint", "health").count("is healthy") in (0, 3)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_gateway_speaks_tls_on_the_same_port(cluster: TlsCluster, place: int) -> None:
    status, body = cluster.post("/v3/kv/put", '{"key":"YQ==","value":"MQ=="}', place)
    assert status == 200
    assert "header" in json.loads(body)


@pytest.mark.parametrize("offered", [["h2"], ["grpc-exp", "h2"], []], ids=str)
def test_http2_is_spoken_with_alpn_and_without(cluster: TlsCluster, offered: list[str]) -> None:
    context = cluster.context()
    if offered:
        context.set_alpn_protocols(offered)
    with cluster.connect(context) as connection:
        assert connection.selected_alpn_protocol() == ("h2" if offered else None)
        connection.sendall(PREFACE)
        answer = connection.recv(9)
    assert answer[3] == 4, "SETTINGS"


@pytest.mark.parametrize("offered", [["http/1.1"], ["h2", "http/1.1"]], ids=str)
def test_pages_are_found_with_alpn(cluster: TlsCluster, offered: list[str]) -> None:
    """curl and Go's clients offer both, and would ask for a page over HTTP/2, which is gRPC here."""
    context = cluster.context()
    context.set_alpn_protocols(offered)
    with cluster.connect(context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        connection.sendall(REQUEST)
        assert connection.recv(12) == b"HTTP/1.1 200"


REQUEST = b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n"


def answer_to(context: ssl.SSLContext, port: int) -> bytes:
    """The beginning of the answer to a request over TLS; nothing when the other side does not want this client."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(REQUEST)
            return connection.recv(12)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_client_without_certificate_is_refused(cluster: TlsCluster) -> None:
    port = cluster.members[0].client_port
    assert answer_to(cluster.context(), port) == b"HTTP/1.1 200"
    assert answer_to(cluster.context(name=None), port) == b""


@pytest.mark.parametrize(
    ("scheme", "told"),
    [("https", "it ended TLS at once; perhaps"), ("http", "it speaks TLS: name it with https://$")],
)
def test_our_own_client_knows_that_nothing_was_written(
    cluster: TlsCluster, scheme: str, told: str
) -> None:
    """Without a certificate, or without TLS; a server of TLS 1.3 refuses after the client has finished its handshake."""
    address = f"127.0.0.1:{cluster.members[0].client_port}"
    tls = cluster.context(name=None)
    with Client([f"{scheme}://{address}"], tls=tls, exactly_once=False, timeout_s=1) as client:
        for act in (lambda: client.put(b"key", b"value"), lambda: client.watch(b"key").__enter__()):
            with pytest.raises(CallFailed, match=f"^{address} cannot be reached: {told}"):
                act()


@pytest.mark.parametrize("port", ["client_port", "peer_port"])
def test_plain_text_is_refused(cluster: TlsCluster, port: str) -> None:
    address = ("127.0.0.1", getattr(cluster.members[0], port))
    with socket.create_connection(address, timeout=10) as plain:
        plain.sendall(b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)


@pytest.mark.parametrize(("name", "is_let_in"), [("client", True), (None, False)])
def test_peer_port_wants_a_certificate_too(
    cluster: TlsCluster, name: str | None, is_let_in: bool
) -> None:
    context = cluster.context(name=name)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # which refuses within the handshake
    plain = socket.create_connection(("127.0.0.1", cluster.members[0].peer_port), timeout=10)
    try:
        context.wrap_socket(plain, server_hostname="127.0.0.1").close()
    except (ssl.SSLError, ConnectionError):
        plain.close()
        assert not is_let_in
    else:
        assert is_let_in


def serial_of(cluster: TlsCluster, place: int) -> int:
    with cluster.connect(cluster.context(), place) as connection:
        certificate = connection.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def test_renewed_certificate_is_shown_without_restart(cluster: TlsCluster) -> None:
    """While connections that are open go on."""
    with cluster.connect(cluster.context(), 1) as before:
        cluster.authority.issue("node2", 77)
        assert serial_of(cluster, 1) == 77
        before.sendall(REQUEST)
        assert before.recv(12) == b"HTTP/1.1 200"


def test_revoked_client_is_refused_without_restart(cluster: TlsCluster) -> None:
    cluster.authority.issue("leaving", 55)
    port = cluster.members[2].client_port
    assert answer_to(cluster.context(name="leaving"), port) == b"HTTP/1.1 200"
    cluster.authority.revoke(55)
    assert answer_to(cluster.context(name="leaving"), port) == b""
    assert answer_to(cluster.context(), port) == b"HTTP/1.1 200"
