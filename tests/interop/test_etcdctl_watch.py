"""etcdctl watch prints on raftwerk what it prints on etcd. What is in the responses: raftwerk.conformance.cases.watches."""

import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS
from tests.interop.grpc_client import GrpcClient, start_alike
from tests.interop.watch_talk import PATIENCE_S, Talk

Pair = tuple[list[GrpcClient], list[GrpcClient]]


@pytest.fixture(scope="module")
def both(cluster: LocalCluster, etcd: Sequence[Member]) -> Iterator[Pair]:
    """Clients of raftwerk's members, and of etcd's."""
    pair = tuple(
        [GrpcClient(f"127.0.0.1:{member.client_port}") for member in members]
        for members in (cluster.members, etcd)
    )
    yield pair[0], pair[1]
    for client in (*pair[0], *pair[1]):
        client.close()


class Printing:
    """A running `etcdctl watch`."""

    def __init__(self, version: str, member: Member, arguments: str) -> None:
        self._process = subprocess.Popen(
            [str(ETCDCTLS[version]), f"--endpoints={member.client_url}", *arguments.split()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"ETCDCTL_API": "3"},
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def lines(self, count: int) -> list[str]:
        return [self._lines.get(timeout=PATIENCE_S).strip() for _ in range(count)]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.mark.parametrize("version", ETCDCTLS)
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("watch a", 12),
        ("watch a --prev-kv", 16),
        ("watch --prefix a", 12),
        ("watch a z", 15),
    ],
    ids=["key", "prev_kv", "prefix", "range"],
)
def test_etcdctl_watch_prints_the_same(
    both: Pair,
    cluster: LocalCluster,
    etcd: Sequence[Member],
    version: str,
    arguments: str,
    count: int,
) -> None:
    clients = [members[0] for members in both]
    first = start_alike(clients)
    printed = []
    for client, member in zip(clients, (cluster.members[0], etcd[0]), strict=True):
        watch = Printing(version, member, f"{arguments} --rev={first + 1}")
        with Talk(client, first) as talk:
            talk.put(b"a", value=b"1")
            talk.put(b"a", value=b"2")
            talk.put(b"b", value=b"3")
            talk.delete(b"a")
            talk.put(b"a", value=b"4")
        lines = watch.lines(count)
        watch.end()
        printed.append(lines)
    assert printed[0] == printed[1]
    assert printed[0][-1] == "4"


@pytest.mark.parametrize("version", ETCDCTLS)
def test_etcdctl_watch_interactive(
    both: Pair, cluster: LocalCluster, etcd: Sequence[Member], version: str
) -> None:
    """Several watches typed in, and a question for progress."""
    clients = [members[1] for members in both]
    first = start_alike(clients)
    printed = []
    for client, member in zip(clients, (cluster.members[1], etcd[1]), strict=True):
        watch = Printing(version, member, "watch -i")
        with Talk(client, first) as talk:
            watch.type(f"watch a --rev={first + 1}")
            talk.put(b"a", value=b"1")
            heard = watch.lines(3)
            watch.type(f"watch b c --rev={first + 1}")
            talk.put(b"b", value=b"2")
            heard += watch.lines(3)
            watch.type("progress")
            heard += watch.lines(1)
        watch.end()
        printed.append(heard)
    assert printed[0] == printed[1]
    assert printed[0] == ["PUT", "a", "1", "PUT", "b", "2", f"progress notify: {first + 2}"]
