"""The same conversations on a Watch stream with raftwerk and with etcd: every response is the same."""

import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence

import grpc
import pytest

from raftwerk.api.rpc_pb2 import PutRequest, RequestOp, TxnRequest
from raftwerk.api.watch_pb2 import WatchRequest
from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS
from tests.interop.grpc_client import GrpcClient, start_alike
from tests.interop.watch_talk import PATIENCE_S, Talk

EVERYTHING = {"key": b"\0", "range_end": b"\0"}
LARGE = 700_000
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


def puts(*keys: bytes, value: bytes = b"v") -> TxnRequest:
    """All in one revision."""
    return TxnRequest(
        success=[RequestOp(request_put=PutRequest(key=key, value=value)) for key in keys]
    )


def one_key(talk: Talk) -> None:
    talk.create(b"a")
    talk.expect(1)
    talk.put(b"a", b"b", b"a")
    talk.delete(b"a")
    talk.expect(3)


def ranges(talk: Talk) -> None:
    for number, span in enumerate(
        ((b"b", b"c"), (b"b", b"\0"), (b"\0", b"\0"), (b"", b"\0"), (b"", b"")), 1
    ):
        talk.create(span[0], range_end=span[1], watch_id=number)
    talk.expect(5)
    talk.put(b"bb")
    talk.expect(4)
    talk.put(b"\0", b"c")
    talk.expect(6)


def previous(talk: Talk) -> None:
    talk.create(b"a", range_end=b"c", prev_kv=True)
    talk.expect(1)
    talk.put(b"a", value=b"1")
    talk.put(b"a", value=b"2")
    talk.txn(puts(b"a", b"b"))
    talk.delete(b"a", b"z")
    talk.delete(b"a")
    talk.put(b"a")
    talk.expect(5)


def transactions(talk: Talk) -> None:
    talk.create(**EVERYTHING)
    talk.expect(1)
    talk.txn(puts(b"c", b"a", b"b"))
    talk.txn(TxnRequest())
    talk.delete(b"\0", b"\0")
    talk.expect(2)


def filters(talk: Talk) -> None:
    talk.create(b"a", filters=[0], watch_id=1)
    talk.create(b"a", filters=[1], watch_id=2, prev_kv=True)
    talk.create(b"a", filters=[0, 1], watch_id=3)
    talk.expect(3)
    talk.put(b"a", b"a")
    talk.delete(b"a")
    talk.expect(3)


def refused(talk: Talk) -> None:
    talk.create(b"b", watch_id=7)
    talk.expect(1)
    talk.create(b"b", range_end=b"a")
    talk.expect(1)
    talk.create(b"b", range_end=b"b")
    talk.expect(1)
    talk.create(b"b", watch_id=7)
    talk.expect(1)
    talk.put(b"b")
    talk.expect(1)


def ids(talk: Talk) -> None:
    for watch_id in (0, 2, 0, 0, -3, 0):
        talk.create(b"a", watch_id=watch_id)
    talk.expect(6)
    for watch_id in (2, 0, 99):
        talk.cancel(watch_id)
    talk.expect(2)
    talk.create(b"a")
    talk.create(b"a", watch_id=2)
    talk.expect(2)
    talk.put(b"a")
    talk.expect(6)


def unknown(talk: Talk) -> None:
    talk.say(WatchRequest())
    talk.create(b"a")
    talk.expect(1)


def past(talk: Talk) -> None:
    talk.put(b"a", b"b", b"a")
    talk.txn(puts(b"a", b"b"))
    talk.delete(b"a")
    talk.create(b"a", start=1)
    talk.expect(2)
    talk.put(b"a")
    talk.expect(1)
    talk.create(b"a", range_end=b"c", start=2, prev_kv=True)
    talk.expect(2)


def future(talk: Talk) -> None:
    talk.create(b"a", start=3)
    talk.expect(1)
    talk.put(b"a", b"a", b"a", b"a")
    talk.expect(2)


def compacted(talk: Talk) -> None:
    talk.put(b"a", b"a", b"a", b"a")
    talk.compact(3)
    talk.create(b"a", start=2, watch_id=5)
    talk.expect(2)
    talk.create(b"a", start=3, watch_id=6, prev_kv=True)
    talk.expect(2)
    talk.put(b"a")
    talk.expect(1)


def progress(talk: Talk) -> None:
    talk.ask_progress()
    talk.expect(1)
    talk.create(b"a")
    talk.expect(1)
    talk.ask_progress()
    talk.expect(1)
    talk.put(b"a")
    talk.expect(1)
    talk.put(b"b")
    talk.put(b"a")
    talk.expect(1)
    talk.ask_progress()
    talk.expect(1)


def fragments(talk: Talk) -> None:
    """What one revision deletes is larger than any request."""
    talk.create(b"a", range_end=b"e", watch_id=1, prev_kv=True, fragment=True)
    talk.create(b"a", range_end=b"e", watch_id=2, prev_kv=True)
    talk.expect(2)
    for key in (b"a", b"b", b"c", b"d"):
        talk.put(key, value=b"x" * LARGE)
        talk.expect(2)
    talk.delete(b"a", b"e")
    talk.expect(3)
    talk.create(b"a", range_end=b"e", watch_id=3, start=5, prev_kv=True, fragment=True)
    talk.expect(3)


def half_closed(talk: Talk) -> None:
    talk.create(b"a")
    talk.create(b"fence", watch_id=1000)
    talk.expect(2)
    talk.half_close()
    talk.put(b"a")
    talk.expect(1)


CONVERSATIONS: tuple[Callable[[Talk], None], ...] = (
    one_key,
    ranges,
    previous,
    transactions,
    filters,
    refused,
    ids,
    unknown,
    past,
    future,
    compacted,
    progress,
    fragments,
)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.__name__)
def test_responses_are_the_same(both: Pair, conversation: Callable[[Talk], None]) -> None:
    at = CONVERSATIONS.index(conversation) % 3
    clients = [members[at] for members in both]
    first = start_alike(clients)
    heard = []
    for client in clients:
        with Talk(client, first) as talk:
            conversation(talk)
            talk.fence()
            heard.append(talk.heard)
    assert heard[0] == heard[1]


def test_stream_outlives_the_requests(both: Pair) -> None:
    """The client sends no more, and hears on."""
    clients = [members[0] for members in both]
    first = start_alike(clients)
    heard = []
    for client in clients:
        with Talk(client, first) as talk:
            half_closed(talk)
            heard.append(talk.heard)
    assert heard[0] == heard[1]


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05ab"], ids=["garbage", "cut"])
def test_unreadable_request_ends_the_stream_alike(both: Pair, data: bytes) -> None:
    """But for what the parser says of it."""
    ends = []
    for client, *_ in both:
        call = client.channel.stream_stream("/etcdserverpb.Watch/Watch")(iter([data]), timeout=10)
        ends.append((call.code(), call.details()))
    prefix = "grpc: failed to unmarshal the received message "
    assert ends[0][0] == ends[1][0] == grpc.StatusCode.INTERNAL
    assert ends[0][1].startswith(prefix)
    assert ends[1][1].startswith(prefix)


# etcdctl


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
