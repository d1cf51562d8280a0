"""Watchers that cannot keep up: slow listeners, compaction, and snapshots that replace the state under them."""

from collections.abc import Generator
from pathlib import Path

import pytest

from raftwerk.kv.commands import Compact, DeleteRange, Put, Txn, encode
from raftwerk.kv.watch import State
from tests.kv.rig import Rig, completed
from tests.kv.watching import WatchRig, apply_together, deleted, put, write

EVERYTHING = (b"\0", b"\0")


@pytest.fixture
def rig() -> WatchRig:
    return WatchRig()


# Slow listeners


def test_slow_listener_stops_in_the_middle_of_a_large_batch(rig: WatchRig) -> None:
    """Between two deliveries, live or of history: what it took is not repeated."""
    large = Txn(success=tuple(Put(b"k%d" % number, b"x" * 150_000) for number in range(4)))
    for is_live in (True, False):
        client = rig.client()
        client.room = 1
        first = rig.machine.revision + 1
        watcher = client.watch(*EVERYTHING, start=first)
        if is_live:
            apply_together(rig, large, large, large)
        else:
            rig.hub.remove(watcher)
            apply_together(rig, large, large, large)
            watcher = client.watch(*EVERYTHING, start=first)
            rig.catch_up(100)
        assert [event.revision for event in client.events(watcher)] == [first] * 4
        assert watcher.state is State.PARKED
        client.read()
        rig.catch_up()
        expected = [first + offset for offset in range(3) for _ in range(4)]
        assert [event.revision for event in client.events(watcher)] == expected
        rig.hub.remove(watcher)


def test_slow_listener_parks_its_watchers_and_goes_on_from_history(rig: WatchRig) -> None:
    slow, quick = rig.client(), rig.client()
    watcher, other = slow.watch(b"a"), quick.watch(b"a")
    slow.room = 1
    write(rig, *[b"a"] * 5)
    assert slow.events(watcher) == [put(2)]
    assert len(quick.events(other)) == 5
    assert (watcher.state, slow.parked) == (State.PARKED, 1)
    assert not rig.hub.is_synced(watcher)
    assert not rig.hub.has_lagging, "nothing is done for it meanwhile"
    slow.read(1)
    rig.catch_up(max_rows=2)
    assert slow.events(watcher) == [put(2), put(3), put(4)]
    slow.read()
    rig.catch_up()
    assert slow.events(watcher) == [put(revision) for revision in range(2, 7)]
    assert rig.hub.is_synced(watcher)


def test_slow_listener_stops_in_the_middle_of_a_slice(rig: WatchRig) -> None:
    """With the values before them, its events make more than one delivery."""
    write(rig, *[b"a"] * 6, value=b"x" * 120_000)
    client = rig.client()
    client.room = 1
    watcher = client.watch(b"a", start=2, prev_kv=True)
    rig.catch_up(100)
    assert [event.revision for event in client.events(watcher)] == [2, 3]
    client.read()
    rig.catch_up(100)
    assert [event.revision for event in client.events(watcher)] == list(range(2, 8))


def test_watchers_of_a_slow_listener_without_events_stay_synced(rig: WatchRig) -> None:
    client = rig.client()
    busy, idle = client.watch(b"a"), client.watch(b"b")
    client.room = 0
    write(rig, b"a")
    assert (busy.state, idle.state) == (State.PARKED, State.SYNCED)
    client.read()
    rig.catch_up()
    write(rig, b"b")
    assert client.events(busy) == [put(2)]
    assert client.events(idle) == [put(3, b"b")]


# Compaction


def test_start_below_the_compaction_is_cancelled(rig: WatchRig) -> None:
    write(rig, *[b"a"] * 5)
    rig.execute(Compact(4))
    client = rig.client()
    gone, kept = client.watch(b"a", start=3), client.watch(b"a", start=4)
    rig.catch_up()
    assert client.compacted == {gone: 4}
    assert client.events(gone) == []
    assert client.events(kept) == [put(4), put(5), put(6)]
    assert rig.hub.watcher_count == 1


def test_compaction_overtakes_who_lags_and_who_is_parked(rig: WatchRig) -> None:
    slow = rig.client()
    parked = slow.watch(b"a")
    slow.room = 0
    write(rig, *[b"a"] * 9)
    lagging = slow.watch(b"a", start=2)
    slow.room = 1
    rig.hub.catch_up(2)
    rig.execute(Compact(7))
    rig.remove_all()
    assert rig.machine.removed_revision == 7, "they pin nothing"
    slow.read()
    rig.catch_up()
    assert slow.compacted == {lagging: 7, parked: 7}
    assert slow.events(lagging) == [put(2), put(3)]


def test_round_goes_on_over_rows_that_were_just_removed(tmp_path: Path) -> None:
    """A slice of it passes no more of them than of others."""
    rig = WatchRig(tmp_path)
    big = Txn(success=tuple(Put(b"k%02d" % number, b"v") for number in range(50)))
    rig.execute_all(big, big)
    rig.checkpoint()
    client = rig.client()
    overtaken, on_time = client.watch(*EVERYTHING, start=2), client.watch(b"k07", start=3)
    rig.hub.catch_up(4)
    rig.execute(Compact(3))
    rig.remove_all()
    slices = rig.catch_up(4)
    assert client.compacted == {overtaken: 3}
    assert client.events(on_time) == [put(3, b"k07")]
    assert slices > 2 * 10
    rig.close()


def test_compaction_within_a_large_revision_cancels(rig: WatchRig) -> None:
    """A revision of which the rest is gone is not delivered in part."""
    big = Txn(success=tuple(Put(b"k%d" % number, b"v") for number in range(9)))
    rig.execute_all(big, big, Put(b"a", b"v"))
    client = rig.client()
    watcher = client.watch(*EVERYTHING, start=2)
    rig.hub.catch_up(4)
    rig.execute(Compact(3))
    rig.remove_all()
    rig.catch_up(4)
    assert client.compacted == {watcher: 3}
    assert client.events(watcher) == []


def test_synced_watcher_does_not_mind_a_compaction(rig: WatchRig) -> None:
    client = rig.client()
    watcher = client.watch(b"a", prev_kv=True)
    write(rig, b"b", b"b", b"a")
    rig.execute(Compact(4))
    rig.remove_all()
    write(rig, b"a")
    assert client.events(watcher) == [put(4), put(5, prev=b"v")]
    assert client.compacted == {}


# A snapshot from the leader


def newer(rig: WatchRig, *commands: Put | Compact) -> Rig:
    """Another member, further on."""
    other = Rig()
    for data in rig.log:
        other.log.append(data)
        other._apply(len(other.log))
    other.execute_all(*commands)
    other.remove_all()
    other.checkpoint()
    return other


def test_restored_state_is_told_from_its_history(rig: WatchRig) -> None:
    client = rig.client()
    live, future = client.watch(b"a"), client.watch(b"a", start=5)
    write(rig, b"a")
    other = newer(rig, Put(b"a", b"3"), Put(b"b", b"4"), Put(b"a", b"5"), Put(b"a", b"6"))
    rig.install(other.machine.open_snapshot())
    assert not rig.hub.is_synced(live)
    rig.catch_up(2)
    write(rig, b"a", value=b"7")
    rest = [put(5, value=b"5"), put(6, value=b"6"), put(7, value=b"7")]
    assert client.events(live) == [put(2), put(3, value=b"3"), *rest]
    assert client.events(future) == rest


def test_events_that_a_restore_overtakes_come_from_its_history() -> None:
    """Whoever waits for what comes after it gets none of them."""
    rig = WatchRig(is_eager=False)
    client = rig.client()
    live, future = client.watch(b"a"), client.watch(b"a", start=5)
    write(rig, b"a")
    rig.install(newer(rig, Put(b"a", b"v"), Put(b"a", b"v")).machine.open_snapshot())
    rig.catch_up()
    write(rig, b"a")
    rig.hub.deliver()
    assert client.events(live) == [put(2), put(3), put(4), put(5)]
    assert client.events(future) == [put(5)]


def test_events_of_a_command_in_slices_come_from_the_history_when_it_is_complete() -> None:
    """In order with those before and after it, also for whoever begins while it is under way."""
    rig = WatchRig(slice_rows=1)
    client = rig.client()
    live, lagging = client.watch(*EVERYTHING), client.watch(*EVERYTHING, start=2)
    commands = [Put(b"a", b"1"), Put(b"b", b"1"), DeleteRange(*EVERYTHING), Put(b"a", b"2")]
    steps = rig.machine.apply([encode(command) for command in commands], 4, b"after")
    assert isinstance(steps, Generator)
    rig.catch_up()
    for _ in range(2):
        next(steps)
    assert rig.machine.revision == 3
    begun = client.watch(*EVERYTHING)
    puts = [put(2, value=b"1"), put(3, b"b", value=b"1")]
    deletes = [deleted(4), deleted(4, b"b")]
    assert client.events(live) == client.events(lagging) == puts
    while rig.machine.revision == 3:
        assert not client.events(begun)
        next(steps)
    completed(steps)
    rig.catch_up()
    rest = [*deletes, put(5, value=b"2")]
    assert client.events(live) == client.events(lagging) == [*puts, *rest]
    assert client.events(begun) == rest


def test_batch_in_slices_reaches_synced_watchers_as_it_is_applied() -> None:
    """Nobody has to catch up because of it."""
    rig = WatchRig(slice_rows=2)
    client = rig.client()
    watcher = client.watch(*EVERYTHING)
    two = Txn(success=(Put(b"b", b"v"), Put(b"c", b"v")))
    steps = rig.machine.apply(
        [encode(Put(b"a", b"v")), encode(Put(b"a", b"v")), encode(two)], 3, b""
    )
    assert isinstance(steps, Generator)
    assert client.events(watcher) == [put(2), put(3)]
    completed(steps)
    rig.catch_up()
    assert client.events(watcher) == [put(2), put(3), put(4, b"b"), put(4, b"c")]
    write(rig, b"d", b"d", b"d")
    assert rig.pleas == 0


def test_restored_state_that_is_compacted_further_cancels(rig: WatchRig) -> None:
    client = rig.client()
    watcher = client.watch(b"a")
    write(rig, b"a")
    other = newer(rig, *[Put(b"a", b"v")] * 5, Compact(5))
    rig.install(other.machine.open_snapshot())
    rig.catch_up()
    assert client.compacted == {watcher: 5}
    assert client.events(watcher) == [put(2)]


def test_restore_in_the_middle_of_a_round_begins_it_anew(rig: WatchRig) -> None:
    big = Txn(success=tuple(Put(b"k%d" % number, b"v") for number in range(9)))
    rig.execute(big)
    client = rig.client()
    watcher, removed = client.watch(*EVERYTHING, start=2), client.watch(b"k1", start=2)
    rig.hub.catch_up(4)
    rig.hub.remove(removed)
    other = newer(rig, Put(b"a", b"v"))
    rig.install(other.machine.open_snapshot())
    rig.catch_up(4)
    assert [event.revision for event in client.events(watcher)] == [2] * 9 + [3]
    assert client.events(removed) == []


def test_commands_in_slices_do_not_make_those_who_catch_up_begin_anew() -> None:
    """Else nobody gets past a large revision while such commands keep coming."""
    rig = WatchRig(slice_rows=1)
    rig.execute(Txn(success=tuple(Put(b"k%d" % number, b"v") for number in range(9))))
    client = rig.client()
    watcher = client.watch(*EVERYTHING, start=2)
    for _ in range(9):
        rig.hub.catch_up(2)
        rig.execute(Txn(success=(Put(b"a", b"v"), Put(b"b", b"v"))))
    assert [event.revision for event in client.events(watcher)][:9] == [2] * 9
