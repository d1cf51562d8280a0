"""One stream by itself, with a service and a call of the test; with both real ones: test_watch_service.py."""

from raftwerk.api import status
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest
from raftwerk.kv.commands import Put
from raftwerk.kv.watch import Delivery, Watcher
from raftwerk.kv.watch_index import Interest
from raftwerk.server.watch_stream import (
    CONTROL_BYTES_MAX,
    GATHERED_BYTES_MAX,
    SLICE_WATCHERS,
    WatchStream,
)
from tests.server.watch_rig import WatchRig


def served(rig: WatchRig) -> WatchStream:
    """The server's end of the only stream."""
    (stream,) = rig.service._streams
    return stream


def delivery_of(field: bytes) -> Delivery:
    delivery = Delivery(2, 2)
    delivery.fields.append(field)
    return delivery


def test_what_is_gathered_leaves_together() -> None:
    """One piece of output for all watchers of a stream."""
    rig = WatchRig()
    client = rig.stream()
    for _ in range(3):
        client.create(b"a")
    rig.block()
    rig.apply(Put(b"b"))
    stream = served(rig)
    watcher = Watcher(stream, 1, Interest(b"a"), 2)
    for _ in range(3):
        stream.take(watcher, delivery_of(b"\x5a\x00"))
    assert not rig._server.has_output
    stream.flush()
    assert len(rig._server._out) == 1


def test_stream_takes_no_more_than_it_should_gather() -> None:
    rig = WatchRig()
    rig.stream()
    stream = served(rig)
    watcher = Watcher(stream, 1, Interest(b"a"), 2)
    assert stream.is_ready
    stream.take(watcher, delivery_of(b"x" * GATHERED_BYTES_MAX))
    assert not stream.is_ready


def test_progress_timer_runs_only_while_somebody_wants_it() -> None:
    rig = WatchRig()
    client = rig.stream()
    for _ in range(2):
        client.create(b"a", progress_notify=True)
    assert rig.loop.timers == 1
    client.cancel(0)
    assert rig.loop.timers == 1
    client.cancel(1)
    assert rig.loop.timers == 0
    client.create(b"a", progress_notify=True)
    assert rig.loop.timers == 1


def test_many_watchers_hear_of_progress_in_slices() -> None:
    """Others get their turn between them; a watcher that is cancelled meanwhile hears nothing."""
    rig = WatchRig()
    client = rig.stream()
    for _ in range(2 * SLICE_WATCHERS + 1):
        client.create(b"a", progress_notify=True)
    client.raw.clear()
    told = []
    for _ in served(rig).progress_steps():
        rig.pump()
        told.append(len(client.raw))
        client.cancel(2 * SLICE_WATCHERS)
        client.raw.clear()
    rig.pump()
    assert told == [SLICE_WATCHERS, SLICE_WATCHERS]
    assert client.raw == []


def test_client_that_does_not_read_hears_of_progress_another_time() -> None:
    """It has not asked, and is not cut off for it."""
    rig = WatchRig(watch_progress_notify_interval_ms=100)
    client = rig.stream()
    for _ in range(500):
        client.create(b"a", progress_notify=True)
    client.raw.clear()
    rig.block()
    rig.advance(12)
    assert rig.server_backlog_bytes < CONTROL_BYTES_MAX / 10
    rig.unblock()
    assert client.outcome is None
    client.raw.clear()
    rig.advance(0.1)
    assert len(client.raw) == 500


def test_client_that_is_cut_off_for_its_own_request_leaves_no_watcher() -> None:
    """The answer to it is what is too much."""
    rig = WatchRig()
    client = rig.stream()
    rig.block()
    request = WatchRequest(create_request=WatchCreateRequest(key=b"a")).SerializeToString()
    for _ in range(CONTROL_BYTES_MAX // 10):
        client.call.send(request)
    rig.unblock()
    assert client.outcome is not None
    assert client.outcome.status == status.RESOURCE_EXHAUSTED
    assert (rig.service.stream_count, rig.hub.watcher_count) == (0, 0)
