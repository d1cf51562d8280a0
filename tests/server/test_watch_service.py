"""etcdserverpb.Watch over a connection in memory."""

import pytest

from raftwerk.api import status
from raftwerk.api.kv_pb2 import Event
from raftwerk.api.watch_pb2 import WatchCreateRequest, WatchRequest
from raftwerk.kv.commands import Compact, DeleteRange, Put, Txn, encode
from tests.server.watch_rig import Stream, WatchRig, response

EVERYTHING = {"key": b"\0", "range_end": b"\0"}


@pytest.fixture
def rig() -> WatchRig:
    return WatchRig()


def brief(stream: Stream) -> list[tuple[int, list[int]]]:
    """(watch id, revisions of its events) of each response."""
    return [
        (one.watch_id, [event.kv.mod_revision for event in one.events]) for one in stream.take()
    ]


# Creating and cancelling


def test_created_comes_before_events(rig: WatchRig) -> None:
    rig.apply(Put(b"a", b"1"), Put(b"a", b"2"))
    stream = rig.stream()
    stream.create(b"a", start_revision=2)
    rig.settle()
    created, events = stream.take()
    assert created == response(3, created=True)
    assert [event.kv.value for event in events.events] == [b"1", b"2"]


def test_event_says_what_happened(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a", prev_kv=True)
    rig.apply(Put(b"a", b"1"), DeleteRange(b"a"))
    _, put, delete = stream.take()
    assert (put.header.revision, put.watch_id) == (2, 0)
    assert put.events[0].type == Event.PUT
    assert put.events[0].kv.value == b"1"
    assert not put.events[0].HasField("prev_kv")
    assert delete.events[0].type == Event.DELETE
    assert delete.events[0].kv.mod_revision == 3
    assert delete.events[0].prev_kv.value == b"1"


def test_server_picks_free_ids(rig: WatchRig) -> None:
    stream = rig.stream()
    for watch_id in (0, 2, 0, 0, -3, 0):
        stream.create(b"a", watch_id=watch_id)
    assert [one.watch_id for one in stream.take()] == [0, 2, 1, 3, -3, 4]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"range_end": b"a"}, "mvcc: watcher range is empty"),
        ({"range_end": b"b"}, "mvcc: watcher range is empty"),
        ({"watch_id": 7}, "mvcc: duplicate watch ID provided on the WatchStream"),
        ({"start_revision": -1}, "etcdserver: mvcc: required revision has been compacted"),
    ],
    ids=["backwards", "empty", "taken", "negative"],
)
def test_watcher_that_cannot_be_is_created_and_canceled(
    rig: WatchRig, fields: dict[str, object], reason: str
) -> None:
    """And the stream goes on."""
    stream = rig.stream()
    stream.create(b"b", watch_id=7)
    stream.create(b"b", **fields)
    rig.apply(Put(b"b"))
    _, refused, event = stream.take()
    assert refused == response(1, -1, created=True, canceled=True, cancel_reason=reason)
    assert event.watch_id == 7
    assert rig.hub.watcher_count == 1


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({}, [b"\0"]),
        ({"range_end": b"\0"}, [b"\0", b"b"]),
        ({"range_end": b"b"}, [b"\0"]),
    ],
    ids=["key", "open", "range"],
)
def test_empty_key_is_the_first_one(
    rig: WatchRig, fields: dict[str, bytes], keys: list[bytes]
) -> None:
    stream = rig.stream()
    stream.create(b"", **fields)
    rig.apply(Put(b"\0"), Put(b"b"))
    assert [event.kv.key for one in stream.take() for event in one.events] == keys


@pytest.mark.parametrize(
    ("filters", "revisions"),
    [([0], [3]), ([1], [2]), ([0, 1], []), ([5], [2, 3])],
    ids=["no puts", "no deletes", "nothing", "unknown"],
)
def test_filters(rig: WatchRig, filters: list[int], revisions: list[int]) -> None:
    """What is filtered out is not sent as an empty response either."""
    create = WatchCreateRequest(key=b"a")
    stream = rig.stream()
    data = create.SerializeToString() + b"".join(b"\x28%c" % one for one in filters)
    stream.send(b"\x0a%c" % len(data) + data)
    rig.apply(Put(b"a"), DeleteRange(b"a"))
    assert stream.revisions() == revisions


def test_cancelled_watcher_is_confirmed_and_gets_nothing_more(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a", watch_id=5)
    stream.create(b"a", progress_notify=True, fragment=True)
    stream.cancel(5)
    stream.cancel(0)
    stream.cancel(99)
    rig.apply(Put(b"a"))
    assert stream.take()[2:] == [response(1, 5, canceled=True), response(1, 0, canceled=True)]
    stream.create(b"a", watch_id=5)
    assert stream.take() == [response(2, 5, created=True)]
    assert rig.loop.timers == 0


def test_unknown_request_is_ignored(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.send(WatchRequest())
    stream.send(b"\x7a\x00")
    stream.create(b"a")
    assert stream.take() == [response(1, created=True)]


def test_unreadable_request_ends_the_stream(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    stream.send(b"\xff\xff")
    assert stream.outcome is not None
    assert stream.outcome.status == status.INTERNAL
    assert stream.outcome.text.startswith("grpc: failed to unmarshal the received message ")
    assert (rig.hub.watcher_count, rig.service.stream_count) == (0, 0)


def test_too_many_watchers_are_refused(rig: WatchRig) -> None:
    rig.service.watchers_max = 2
    stream = rig.stream()
    for _ in range(3):
        stream.create(b"a")
    reasons = [one.cancel_reason for one in stream.take()]
    assert reasons == ["", "", "etcdserver: too many requests"]


# Events


def test_revision_is_one_response(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(**EVERYTHING)
    rig.apply(Txn(success=(Put(b"a"), Put(b"b"), Put(b"c"))), Put(b"a"))
    assert brief(stream)[1:] == [(0, [2, 2, 2]), (0, [3])]


def test_whoever_wrote_is_answered_before_events_leave(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    rig.node.apply(encode(Put(b"a")))
    has_left: list[bool] = []
    rig.loop.call_soon(lambda: has_left.append(rig._server.has_output))  # as the answer is written
    rig.settle()
    assert has_left == [False]
    assert len(stream.raw) == 2


def test_answers_come_after_what_happened_before_the_request(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    rig.node.apply(encode(Put(b"a")))
    stream.ask_progress()
    stream.create(b"a")
    assert brief(stream) == [(0, []), (0, [2]), (-1, []), (1, [])]


def test_responses_stay_small_where_revisions_are(rig: WatchRig) -> None:
    """Many clients take no message of more than 4 MiB."""
    stream = rig.stream()
    stream.create(b"a")
    for _ in range(30):
        rig.node.apply(encode(Put(b"a", b"x" * 100_000)))
    rig.settle()
    responses = stream.take()[1:]
    assert [event.kv.mod_revision for one in responses for event in one.events] == list(
        range(2, 32)
    )
    assert max(one.ByteSize() for one in responses) <= 600_000
    assert len(responses) < 10


def test_watchers_of_all_streams_get_the_event(rig: WatchRig) -> None:
    streams = [rig.stream() for _ in range(3)]
    for stream in streams:
        stream.create(b"a")
        stream.create(b"a")
    rig.apply(Put(b"a"))
    assert [brief(stream)[2:] for stream in streams] == [[(0, [2]), (1, [2])]] * 3


@pytest.mark.parametrize("start_revision", [0, 2], ids=["live", "history"])
def test_large_revision_is_sent_in_fragments_to_who_can_put_them_together(
    start_revision: int,
) -> None:
    rig = WatchRig(max_request_bytes=1)  # and half a MiB
    large = [b"%d" % number * 300_000 for number in range(4)]
    whole, cut = rig.stream(), rig.stream()
    write = Txn(success=tuple(Put(value[:1], value) for value in large))
    if start_revision:
        rig.apply(write)
    whole.create(**EVERYTHING, start_revision=start_revision)
    cut.create(**EVERYTHING, start_revision=start_revision, fragment=True)
    if not start_revision:
        rig.apply(write)
    rig.settle()
    assert [len(one.events) for one in whole.take()[1:]] == [4]
    parts = cut.take()[1:]
    assert [(one.fragment, len(one.events)) for one in parts] == [(True, 1)] * 3 + [(False, 1)]
    assert [event.kv.value for one in parts for event in one.events] == large


def test_small_revision_is_not_fragmented(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(**EVERYTHING, fragment=True)
    rig.apply(Txn(success=(Put(b"a"), Put(b"b"))))
    assert [(one.fragment, len(one.events)) for one in stream.take()[1:]] == [(False, 2)]


def test_long_history_leaves_room_for_others(rig: WatchRig) -> None:
    """In slices: other work has its turns in between."""
    rig.apply(*[Put(b"a")] * 1000)
    stream = rig.stream()
    stream.create(b"a", start_revision=1)
    turns = rig.loop.turns
    rig.settle()
    assert rig.loop.turns - turns >= 5
    assert stream.revisions() == list(range(2, 1002))


def test_start_below_the_compaction(rig: WatchRig) -> None:
    """As etcd: created, then canceled with a header that has no revision."""
    rig.apply(Put(b"a"), Put(b"a"), Put(b"a"), Compact(4))
    stream = rig.stream()
    stream.create(b"a", start_revision=3, watch_id=9)
    rig.settle()
    assert stream.take() == [
        response(4, 9, created=True),
        response(0, 9, canceled=True, compact_revision=4),
    ]
    stream.ask_progress()
    assert stream.take() == [response(4, -1)]


# Progress


def test_progress_is_told_when_all_watchers_have_everything(rig: WatchRig) -> None:
    rig.apply(Put(b"a"), Put(b"b"))
    stream = rig.stream()
    stream.ask_progress()
    stream.create(b"a")
    stream.create(b"b", start_revision=3)
    rig.settle()
    stream.take()
    stream.ask_progress()
    assert stream.take() == [response(3, -1)]


@pytest.mark.parametrize("start_revision", [1, 5], ids=["in the past", "in the future"])
def test_progress_is_not_told_while_a_watcher_waits(rig: WatchRig, start_revision: int) -> None:
    rig.apply(Put(b"a"), Put(b"a"))
    stream = rig.stream()
    stream.create(b"a")
    stream.create(b"a", start_revision=start_revision)
    stream.ask_progress()
    assert [one.created for one in stream.take()] == [True, True]


def test_progress_is_told_up_to_the_start_in_the_future(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a", start_revision=3)
    rig.apply(Put(b"a"))
    stream.take()
    stream.ask_progress()
    assert stream.take() == [response(2, -1)]


def test_quiet_watcher_hears_of_progress(rig: WatchRig) -> None:
    """Every ten minutes, and a tenth more the first time; not if there was an event meanwhile."""
    stream = rig.stream()
    stream.create(b"a", progress_notify=True)
    stream.create(b"b")
    rig.apply(Put(b"b"))
    stream.take()
    rig.advance(660)
    assert stream.take() == [response(2)]
    rig.apply(Put(b"a"))
    rig.advance(600)
    assert brief(stream) == [(0, [3])]
    rig.advance(600)
    assert stream.take() == [response(3)]
    stream.call.cancel()
    rig.pump()
    assert rig.loop.timers == 0


def test_progress_interval_is_a_setting() -> None:
    rig = WatchRig(watch_progress_notify_interval_ms=1000)
    stream = rig.stream()
    stream.create(b"a", progress_notify=True)
    stream.create(b"a", progress_notify=True, start_revision=9)
    rig.advance(10)
    count = len(stream.take()) - 2
    assert 9 <= count <= 10


# The end of streams


def test_client_that_leaves_takes_its_watchers_along(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    stream.create(b"a", start_revision=1)
    stream.call.cancel()
    rig.pump()
    rig.apply(Put(b"a"))
    rig.settle()
    assert (rig.hub.watcher_count, rig.service.stream_count, rig.open_calls) == (0, 0, 0)


def test_client_that_sends_no_more_still_gets_events(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    stream.call.half_close()
    rig.pump()
    rig.apply(Put(b"a"))
    assert stream.revisions() == [2]
    assert stream.outcome is None


def test_stop_sends_clients_elsewhere(rig: WatchRig) -> None:
    stream = rig.stream()
    stream.create(b"a")
    rig.service.stop()
    rig.pump()
    late = rig.stream()
    rig.settle()
    for one in (stream, late):
        assert one.outcome is not None
        assert one.outcome[:2] == status.STOPPED
    assert rig.hub.watcher_count == 0


def test_stream_that_wants_a_leader_is_refused_without_one(rig: WatchRig) -> None:
    rig.node.has_leader = False
    stream, other = rig.stream(hasleader="true"), rig.stream()
    assert stream.outcome is not None
    assert stream.outcome[:2] == status.NO_LEADER
    assert other.outcome is None


def test_stream_that_wants_a_leader_ends_three_election_timeouts_after_it(rig: WatchRig) -> None:
    stream, other = rig.stream(hasleader="true"), rig.stream()
    stream.create(b"a")
    rig.advance(10)
    rig.node.has_leader = False
    rig.advance(1.9)
    rig.node.has_leader = True
    rig.advance(1)
    rig.node.has_leader = False
    rig.advance(1.9)
    assert stream.outcome is None
    rig.advance(2)
    assert stream.outcome is not None
    assert stream.outcome[:2] == status.NO_LEADER
    assert other.outcome is None
    assert rig.loop.timers == 0
