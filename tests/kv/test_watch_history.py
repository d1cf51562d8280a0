"""Events, and reading them from the store."""

from pathlib import Path

from raftwerk.api.kv_pb2 import Event as ApiEvent
from raftwerk.api.watch_pb2 import WatchResponse
from raftwerk.kv.commands import Compact, DeleteRange, Put, Txn
from raftwerk.kv.rows import REVISION
from raftwerk.kv.watch_history import Event, History
from tests.kv.rig import Rig


def history_of(rig: Rig) -> History:
    return History(rig.machine, rig.store)


def at(revision: int, sub: int = 0) -> bytes:
    return REVISION.pack(revision, sub)


def parsed(field: bytes) -> ApiEvent:
    (event,) = WatchResponse.FromString(field).events
    return event


def test_event_is_a_field_of_the_response() -> None:
    rig = Rig()
    rig.execute_all(Put(b"a", b"1"), Put(b"a", b"2"), DeleteRange(b"a"))
    events, rest = history_of(rig).read(at(0), 10)
    assert rest is None
    first, second, third = (parsed(event.field()) for event in events)
    assert (first.type, first.kv.key, first.kv.value) == (ApiEvent.PUT, b"a", b"1")
    assert (second.kv.create_revision, second.kv.mod_revision, second.kv.version) == (2, 3, 2)
    assert (third.type, third.kv.key, third.kv.mod_revision) == (ApiEvent.DELETE, b"a", 4)
    assert not third.kv.value


def test_bytes_are_canonical() -> None:
    """What protobuf would have written."""
    rig = Rig()
    rig.execute_all(Put(b"a", b"x" * 300), DeleteRange(b"a"))
    for event in history_of(rig).read(at(0), 10)[0]:
        for field in (event.field(), event.field_with_prev(rig.store, -1)):
            assert WatchResponse(events=[parsed(field)]).SerializeToString() == field


def test_bytes_are_made_once() -> None:
    rig = Rig()
    rig.execute_all(Put(b"a", b"1"), Put(b"a", b"2"))
    event = history_of(rig).read(at(3), 10)[0][0]
    assert event.field() is event.field()
    assert event.field_with_prev(rig.store, -1) is event.field_with_prev(rig.store, -1)


def test_event_without_a_version_before_is_the_same_with_prev() -> None:
    event = Event(2, b"a", b"\x0a\x01a", bytes(12), is_delete=False)
    assert event.field_with_prev(Rig().store, -1) is event.field()


def test_prev_of_a_version_that_was_removed_is_absent() -> None:
    """The store may have lost it though the compaction is not known: a link into nothing is no error."""
    rig = Rig()
    rig.execute_all(Put(b"a", b"1"), Put(b"a", b"2"), Compact(3))
    rig.remove_all()
    event = history_of(rig).read(at(3), 10)[0][0]
    assert not parsed(event.field_with_prev(rig.store, -1)).HasField("prev_kv")


def test_history_goes_on_where_it_left_off() -> None:
    rig = Rig()
    rig.execute_all(Put(b"a"), Txn(success=(Put(b"b"), Put(b"c"))), Put(b"d"))
    history = history_of(rig)
    events, rest = history.read(at(2), 2)
    assert [event.key for event in events] == [b"a", b"b"]
    assert rest == at(3, 1)
    events, rest = history.read(rest, 2)
    assert [(event.revision, event.key) for event in events] == [(3, b"c"), (4, b"d")]
    assert rest is None


def test_slice_passes_few_rows_that_were_just_removed(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.execute_all(*(Put(b"%03d" % number) for number in range(300)))
    first = rig.machine.revision - 299
    rig.execute(DeleteRange(b"\0", b"\0"))
    rig.checkpoint()
    rig.execute(Compact(rig.machine.revision))
    rig.remove_all()
    history = history_of(rig)
    assert history.read(at(first), 100) == ([], at(first + 100))
    events, rest = history.read(at(first + 250), 100)
    assert (len(events), rest) == (50, at(first + 300, 50))
    assert all(event.is_delete for event in events)
    rig.close()


def test_history_tells_what_the_machine_knows() -> None:
    rig = Rig()
    rig.execute_all(Put(b"a"), Put(b"a"), Compact(2))
    history = history_of(rig)
    assert (history.revision, history.compacted_revision, history.restores) == (3, 2, 0)
