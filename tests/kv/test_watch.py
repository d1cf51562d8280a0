"""The hub: what each watcher is told, live and from history."""

import pytest

from raftwerk.kv import watch
from raftwerk.kv.commands import Compact, DeleteRange, Put, Txn, encode
from raftwerk.kv.watch import State
from tests.kv.rig import Rig
from tests.kv.watching import Client, Told, WatchRig

EVERYTHING = (b"\0", b"\0")


@pytest.fixture
def rig() -> WatchRig:
    return WatchRig()


def put(revision: int, key: bytes = b"a", value: bytes = b"v", prev: bytes | None = None) -> Told:
    return Told(revision, "put", key, value, prev)


def deleted(revision: int, key: bytes = b"a", prev: bytes | None = None) -> Told:
    return Told(revision, "delete", key, b"", prev)


def write(rig: WatchRig, *keys: bytes, value: bytes = b"v") -> None:
    rig.execute_all(*(Put(key, value) for key in keys))


def apply_together(rig: WatchRig, *commands: Put | Txn | Compact | DeleteRange) -> None:
    """As one batch of the log."""
    rig.log += map(encode, commands)
    rig.machine.apply([encode(command) for command in commands], len(rig.log), b"")


# Live


def test_watcher_of_a_key_gets_its_events_at_once(rig: WatchRig) -> None:
    client = rig.client()
    watcher = client.watch(b"a")
    rig.execute_all(Put(b"a", b"1"), Put(b"b", b"2"), DeleteRange(b"a"))
    assert client.deliveries[watcher] == [[put(2, value=b"1")], [deleted(4)]]
    assert client.unflushed == 0


@pytest.mark.parametrize(
    ("span", "keys"),
    [
        ((b"b",), [b"b"]),
        ((b"b", b"c"), [b"b", b"bb"]),
        ((b"b", b"\0"), [b"b", b"bb", b"c", b"\xff"]),
        (EVERYTHING, [b"\0", b"a", b"b", b"bb", b"c", b"\xff"]),
    ],
    ids=["key", "prefix", "from key on", "everything"],
)
def test_range_is_etcds(rig: WatchRig, span: tuple[bytes, ...], keys: list[bytes]) -> None:
    client = rig.client()
    watcher = client.watch(*span)
    write(rig, b"\0", b"a", b"b", b"bb", b"c", b"\xff")
    assert [event.key for event in client.events(watcher)] == keys


def test_batch_is_one_delivery_of_whole_revisions(rig: WatchRig) -> None:
    client = rig.client()
    watcher = client.watch(*EVERYTHING)
    apply_together(rig, Put(b"a", b"1"), Txn(success=(Put(b"b", b"2"), Put(b"a", b"3"))))
    assert client.deliveries[watcher] == [
        [put(2, b"a", b"1"), put(3, b"b", b"2"), put(3, b"a", b"3")]
    ]


def test_events_are_made_once_for_all_watchers(rig: WatchRig) -> None:
    """Those with one interest share even the delivery."""
    taken = []

    class Keeper(Client):
        def take(self, watcher: watch.Watcher, delivery: watch.Delivery) -> None:
            taken.append(delivery)

    keeper = Keeper(rig.hub)
    keeper.watch(b"a")
    keeper.watch(b"a")
    keeper.watch(*EVERYTHING)
    write(rig, b"a")
    assert taken[0] is taken[1]
    assert taken[0].data is taken[1].data
    assert taken[2].fields[0] is taken[0].fields[0]


@pytest.mark.parametrize(
    ("has_puts", "has_deletes", "expected"),
    [
        (True, False, [put(2), put(4)]),
        (False, True, [deleted(3)]),
        (False, False, []),
    ],
    ids=["no deletes", "no puts", "nothing"],
)
def test_filters(rig: WatchRig, has_puts: bool, has_deletes: bool, expected: list[Told]) -> None:
    client = rig.client()
    live = client.watch(b"a", has_puts=has_puts, has_deletes=has_deletes)
    rig.execute_all(Put(b"a", b"v"), DeleteRange(b"a"), Put(b"a", b"v"))
    late = client.watch(b"a", start=2, has_puts=has_puts, has_deletes=has_deletes)
    rig.catch_up()
    assert client.events(live) == expected
    assert client.events(late) == expected
    assert [] not in client.deliveries[live], "nothing was delivered"
    assert rig.hub.is_synced(late)


def test_prev_kv_is_that_of_the_revision_before(rig: WatchRig) -> None:
    """None for a key that was not there; a second write in one transaction sees through the first."""
    client = rig.client()
    live = client.watch(b"a", prev_kv=True)
    nested = Txn(success=(Put(b"a", b"3"), Txn(success=(DeleteRange(b"a", b"b"),))))
    rig.execute_all(Put(b"a", b"1"), Put(b"a", b"2"), nested, Put(b"a", b"4"))
    expected = [
        put(2, value=b"1"),
        put(3, value=b"2", prev=b"1"),
        put(4, value=b"3", prev=b"2"),
        deleted(4, prev=b"2"),
        put(5, value=b"4"),
    ]
    assert client.events(live) == expected
    late = client.watch(b"a", start=1, prev_kv=True)
    rig.catch_up()
    assert client.events(late) == expected


def test_prev_kv_is_absent_where_it_is_compacted(rig: WatchRig) -> None:
    write(rig, b"a", b"a", b"a")
    rig.execute(Compact(3))
    client = rig.client()
    watcher = client.watch(b"a", start=3, prev_kv=True)
    rig.catch_up()
    assert client.events(watcher) == [put(3), put(4, prev=b"v")]


def test_removed_watcher_gets_nothing_more(rig: WatchRig) -> None:
    client = rig.client()
    live, lagging = client.watch(b"a"), client.watch(b"a", start=1)
    client.room = 0
    write(rig, b"a")
    parked = live
    client.room = None
    live = client.watch(b"a")
    assert [one.state for one in (live, lagging, parked)] == [
        State.SYNCED,
        State.LAGGING,
        State.PARKED,
    ]
    for watcher in (live, lagging, parked, parked):
        rig.hub.remove(watcher)
    write(rig, b"a")
    client.read()
    rig.catch_up()
    assert not any(client.deliveries.values())
    assert (rig.hub.watcher_count, rig.hub.synced_count) == (0, 0)


def test_listener_that_fails_takes_its_watchers_along(rig: WatchRig) -> None:
    """In the middle of a delivery: none of them is told anything more."""

    class Failing(Client):
        def take(self, watcher: watch.Watcher, delivery: watch.Delivery) -> None:
            super().take(watcher, delivery)
            for one in self.deliveries:
                rig.hub.remove(one)

    client = Failing(rig.hub)
    for _ in range(3):
        client.watch(b"a")
    client.watch(*EVERYTHING)
    write(rig, b"a", b"a")
    assert sum(map(len, client.deliveries.values())) == 1
    assert rig.hub.watcher_count == 0


@pytest.mark.parametrize("start", [0, 2], ids=["live", "history"])
def test_listener_that_fails_gets_no_second_delivery(rig: WatchRig, start: int) -> None:
    class Failing(Client):
        def take(self, watcher: watch.Watcher, delivery: watch.Delivery) -> None:
            super().take(watcher, delivery)
            rig.hub.remove(watcher)

    client = Failing(rig.hub)
    large = [Put(b"a", b"x" * 240_000)] * 4
    if start:
        apply_together(rig, *large)
    watcher = client.watch(b"a", start=start, prev_kv=True)
    if not start:
        apply_together(rig, *large)
    rig.catch_up(100)
    assert len(client.deliveries[watcher]) == 1


def test_events_wait_until_they_are_delivered() -> None:
    """Whoever wrote them is answered first; nothing else overtakes them."""
    rig = WatchRig(is_eager=False)
    client = rig.client()
    early = client.watch(b"a")
    write(rig, b"a", b"a")
    assert client.events(early) == []
    late = client.watch(b"a", start=4)
    assert client.deliveries[early] == [[put(2), put(3)]]
    assert rig.hub.is_synced(late)
    write(rig, b"a")
    assert rig.hub.revision == 4
    rig.hub.deliver()
    assert client.events(late) == [put(4)]
    assert client.deliveries[early][1:] == [[put(4)]]


# The past and the future


def test_start_in_the_past_joins_without_gap_or_repeat(rig: WatchRig) -> None:
    write(rig, *[b"a", b"b"] * 5)
    client = rig.client()
    watcher = client.watch(b"a", start=4)
    assert rig.pleas == 1
    while rig.hub.catch_up(2):
        write(rig, b"a")
    write(rig, b"a")
    revisions = [event.revision for event in client.events(watcher)]
    assert revisions == [4, 6, 8, 10, *range(12, rig.machine.revision + 1)]
    assert rig.hub.is_synced(watcher)


def test_start_in_the_future_waits(rig: WatchRig) -> None:
    client = rig.client()
    watcher = client.watch(b"a", start=4)
    assert not rig.hub.is_synced(watcher)
    write(rig, b"a", b"a")
    assert rig.hub.is_synced(watcher), "everything before its start has happened"
    write(rig, b"a", b"a")
    assert client.events(watcher) == [put(4), put(5)]
    rig.hub.remove(watcher)
    assert rig.hub.synced_count == 0


def test_history_is_read_in_slices(rig: WatchRig) -> None:
    write(rig, *[b"a"] * 20)
    client = rig.client()
    watcher = client.watch(b"a", start=1)
    assert rig.catch_up(max_rows=4) == 5
    assert [len(delivery) for delivery in client.deliveries[watcher]] == [4] * 5


def test_revision_is_never_split(rig: WatchRig) -> None:
    """Neither where a slice ends, nor when it is larger than a slice."""
    big = Txn(success=tuple(Put(b"k%02d" % number, b"v") for number in range(10)))
    pair = Txn(success=(Put(b"a", b"1"), Put(b"b", b"2")))
    rig.execute_all(Put(b"a", b"v"), pair, pair, big, big, pair)
    client = rig.client()
    watcher = client.watch(*EVERYTHING, start=1)
    rig.catch_up(max_rows=4)
    parts = [[event.revision for event in one] for one in client.deliveries[watcher]]
    assert [revision for part in parts for revision in part] == (
        [2, 3, 3, 4, 4] + [5] * 10 + [6] * 10 + [7, 7]
    )
    assert all(part.count(5) in (0, 10) and part.count(6) in (0, 10) for part in parts)


def test_large_values_end_a_slice_early(rig: WatchRig) -> None:
    large = b"x" * 200_000
    rig.execute_all(*[Put(b"a", large)] * 5)
    client = rig.client()
    watcher = client.watch(b"a", start=1)
    rig.catch_up(max_rows=100)
    assert [len(delivery) for delivery in client.deliveries[watcher]] == [2, 2, 1]


def test_watchers_that_lag_are_brought_on_together(rig: WatchRig) -> None:
    """Also those that began elsewhere in the same stretch: the history is read once."""
    write(rig, *[b"a"] * 40)
    client = rig.client()
    watchers = [client.watch(b"a", start=start) for start in (2, 2, 4, 5, 30)]
    assert rig.catch_up(max_rows=10) <= 8
    for watcher, start in zip(watchers, (2, 2, 4, 5, 30), strict=True):
        assert [event.revision for event in client.events(watcher)] == list(range(start, 42))


def test_many_lagging_watchers_share_their_slices(rig: WatchRig) -> None:
    """No slice brings on more than so many."""
    write(rig, b"a")
    client = rig.client()
    watchers = [client.watch(b"a", start=1) for _ in range(2 * watch.ROUND_WATCHERS + 1)]
    assert rig.catch_up() == 3
    assert all(client.events(watcher) == [put(2)] for watcher in watchers)


def test_too_many_deliveries_at_once_are_left_to_history(rig: WatchRig) -> None:
    client = rig.client()
    watchers = [client.watch(b"a") for _ in range(watch.DELIVERIES_MAX + 10)]
    write(rig, b"a")
    assert sum(map(len, client.deliveries.values())) == watch.DELIVERIES_MAX
    write(rig, b"a")
    rig.catch_up()
    assert all(client.events(watcher) == [put(2), put(3)] for watcher in watchers)


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


def test_nothing_is_kept_while_nobody_watches(rig: WatchRig) -> None:
    write(rig, b"a")
    assert rig.machine._versions.written is None
    client = rig.client()
    watcher = client.watch(b"a", start=2)
    rig.catch_up()
    assert client.events(watcher) == [put(2)]
