"""The hub: what each watcher is told, live and from history."""

import pytest

from raftwerk.kv import watch
from raftwerk.kv.commands import Compact, DeleteRange, Put, Txn
from raftwerk.kv.watch import State
from tests.kv.watching import Client, Told, WatchRig, apply_together, deleted, put, write

EVERYTHING = (b"\0", b"\0")


@pytest.fixture
def rig() -> WatchRig:
    return WatchRig()


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


def test_nothing_is_kept_while_nobody_watches(rig: WatchRig) -> None:
    write(rig, b"a")
    assert rig.machine._versions.written is None
    client = rig.client()
    watcher = client.watch(b"a", start=2)
    rig.catch_up()
    assert client.events(watcher) == [put(2)]
