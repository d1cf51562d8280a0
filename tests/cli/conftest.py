"""A member for the commands that talk to one."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.client.scripted import GREETING
from tests.conftest import running_cluster
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture(scope="package")
def live_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a single node of ours."""
    with running_cluster(tmp_path_factory.mktemp("ctl"), 1) as cluster:
        yield f"127.0.0.1:{cluster.members[0].client_port}"


@pytest.fixture
def etcd_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a real etcd."""
    with running_etcd(tmp_path_factory.mktemp("etcd"), 1) as members:
        yield f"127.0.0.1:{members[0].client_port}"


class _Sever(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Take the request in, and hang up."""
        data = b""
        with suppress(ConnectionError):
            self.request.sendall(GREETING)
            while b"/etcdserverpb." not in data and (more := self.request.recv(65_536)):
                data += more


@pytest.fixture
def severed() -> Iterator[str]:
    """An endpoint that hangs up on every request."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Sever) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
