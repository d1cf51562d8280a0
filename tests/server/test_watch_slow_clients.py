"""Watch streams whose clients do not read: they cost little, lose nothing, and hold up nobody."""

import pytest

from raftwerk.api import status
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest
from raftwerk.kv.commands import Compact, Put, encode
from raftwerk.kv.watch_history import SLICE_BYTES
from tests.server.watch_rig import WatchRig, response


@pytest.fixture
def rig() -> WatchRig:
    return WatchRig()


def flood(rig: WatchRig, count: int = 60, size: int = 50_000) -> None:
    rig.apply(*[Put(b"a", b"x" * size)] * count)


def test_client_that_grants_no_window_costs_little_and_loses_nothing(rig: WatchRig) -> None:
    """The others are served meanwhile."""
    slow, quick = rig.stream(), rig.stream()
    slow.create(b"a")
    quick.create(b"a")
    rig._server.streams[1].send_window = 1000
    flood(rig)
    assert quick.revisions() == list(range(2, 62))
    limit = rig._server.limits.backlog_bytes_max + SLICE_BYTES
    assert rig.server_backlog_bytes < limit + 60_000
    slow.ask_progress()
    rig.settle()
    assert rig.server_backlog_bytes < limit + 60_000
    rig._server._sender.widen_stream(rig._server.streams[1], 100_000_000)
    rig.settle()
    assert slow.revisions() == list(range(2, 62))
    rig.apply(Put(b"a"))
    assert slow.revisions() == [62]


def test_socket_that_takes_nothing_stops_the_streams(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    rig.block()
    flood(rig)
    rig.settle()
    assert rig.server_backlog_bytes == 0
    assert not rig._server.has_output
    stream.ask_progress()
    rig.unblock()
    assert stream.revisions() == list(range(2, 62))
    stream.ask_progress()
    assert stream.take() == [response(61, -1)]


def test_compaction_cancels_who_does_not_read(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    rig.block()
    rig.apply(*[Put(b"a")] * 9, Compact(8))
    while rig.node.machine.maintain(100):
        pass
    assert rig.node.machine.removed_revision == 8
    rig.unblock()
    assert stream.take()[1:] == [response(0, canceled=True, compact_revision=8)]


def test_watchers_of_one_large_batch_wait_for_the_write(rig: WatchRig) -> None:
    """What is gathered for a connection in one turn is bounded, too."""
    stream = rig.stream()
    count = 40
    for _ in range(count):
        stream.create(b"a")
    rig.node.apply(encode(Put(b"a", b"x" * 50_000)))
    rig.hub.deliver()
    assert rig.hub.synced_count < count
    rig.settle()
    assert stream.revisions() == [2] * count
    assert rig.hub.synced_count == count


def test_client_that_asks_and_never_reads_is_sent_away(rig: WatchRig) -> None:
    stream = rig.stream()
    rig._server.streams[1].send_window = 0
    request = WatchRequest(create_request=WatchCreateRequest(key=b"b", range_end=b"a"))
    data = request.SerializeToString()
    for _ in range(40_000):
        stream.call.send(data)
    rig.pump()
    rig._server._sender.widen_stream(rig._server.streams[1], 100_000_000)
    rig.settle()
    assert stream.outcome is not None
    assert stream.outcome[:2] == status.TOO_MANY_REQUESTS
    assert rig.service.stream_count == 0


def test_slow_watchers_are_counted(rig: WatchRig) -> None:
    stream = rig.stream()
    for key in (b"a", b"b", b"c"):
        stream.create(key)
    rig.block()
    rig.apply(Put(b"a"))
    counts = rig.service.stream_count, rig.service.watcher_count, rig.service.slow_watcher_count
    assert counts == (1, 3, 1)
