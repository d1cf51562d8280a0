"""The index finds exactly the audiences of a key."""

from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv import watch_index
from raftwerk.kv.versions import bounds
from raftwerk.kv.watch_history import Event
from raftwerk.kv.watch_index import Index, Interest, Watcher

KEYS = st.binary(max_size=2).map(lambda key: key or b"\0")
RANGE_ENDS = st.one_of(st.just(b""), st.just(b"\0"), KEYS)


def event(revision: int, key: bytes, *, is_delete: bool = False) -> Event:
    return Event(revision, key, b"", b"", is_delete=is_delete)


def watchers_of(index: Index, key: bytes) -> list[Watcher]:
    return [watcher for audience in index.match(key) for watcher in audience.watchers]


def covers(interest: Interest, key: bytes) -> bool:
    start, stop = bounds(interest.key, interest.range_end)
    return start <= key and (stop is None or key < stop)


@given(
    st.lists(st.tuples(KEYS, RANGE_ENDS), max_size=40),
    st.lists(st.integers(0, 39), max_size=40),
    st.lists(KEYS, min_size=1, max_size=10),
)
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_match_is_what_a_look_at_each_one_finds(
    spans: list[tuple[bytes, bytes]], removals: list[int], keys: list[bytes]
) -> None:
    index = Index()
    watchers = [Watcher(Interest(*span)) for span in spans]
    for watcher in watchers:
        index.add(watcher, 0)
    left = dict.fromkeys(watchers)
    for key in keys:
        index.match(key)  # remembered, until something changes
    for place in removals:
        if place < len(watchers) and watchers[place] in left:
            index.remove(watchers[place])
            del left[watchers[place]]
    for key in keys:
        expected = [watcher for watcher in left if covers(watcher.interest, key)]
        found = watchers_of(index, key)
        assert len(found) == len(expected)
        assert set(found) == set(expected)
    assert set(index.watchers()) == set(left)


def test_many_ranges_come_and_go() -> None:
    """More than fit a block, many with one start, in an order that splits blocks."""
    index = Index()
    count = 5 * watch_index.BLOCK_RANGES
    narrow = [Watcher(Interest(b"%04d" % n, b"%04d" % (n + 1))) for n in range(count)]
    wide = [Watcher(Interest(b"0100", b"%04d" % (n + 101))) for n in range(count)]
    for pair in zip(narrow, reversed(wide), strict=True):
        for watcher in pair:
            index.add(watcher, 0)
    assert len(watchers_of(index, b"0150")) == 1 + count - 50
    for watcher in wide:
        index.remove(watcher)
    assert watchers_of(index, b"0150") == [narrow[150]]
    for watcher in narrow:
        index.remove(watcher)
    assert watchers_of(index, b"0150") == []


def test_watchers_with_one_interest_are_one_audience() -> None:
    index = Index()
    for first_revision in (0, 0, 7):
        index.add(Watcher(Interest(b"a", b"b")), first_revision)
    assert [len(audience.watchers) for audience in index.match(b"a")] == [2, 1]


def test_events_are_gathered_by_who_wants_them() -> None:
    index = Index()
    interests = {
        "all": Interest(b"a"),
        "puts": Interest(b"a", has_deletes=False),
        "deletes": Interest(b"a", has_puts=False),
        "other": Interest(b"b"),
    }
    for interest in interests.values():
        index.add(Watcher(interest), 0)
    index.add(Watcher(Interest(b"a")), 3)
    events = [event(2, b"a"), event(3, b"a", is_delete=True)]
    fresh = index.gather(events)
    found = {
        name: [
            [one.revision for one in audience.events]
            for audience in fresh
            if audience.interest == interest
        ]
        for name, interest in interests.items()
    }
    assert found == {"all": [[2, 3], [3]], "puts": [[2]], "deletes": [[3]], "other": []}
    assert index.gather([event(4, b"a")]) == [], "they had some already"


def test_memory_of_matches_is_bounded() -> None:
    index = Index()
    for number in range(watch_index.MATCHES_MAX + 5):
        index.match(b"%d" % number)
    assert len(index._matches) <= watch_index.MATCHES_MAX


def test_long_keys_are_found_and_not_remembered() -> None:
    index = Index()
    key = b"k" * (watch_index.MATCH_KEY_BYTES_MAX + 1)
    watcher = Watcher(Interest(key))
    index.add(watcher, 0)
    assert watchers_of(index, key) == [watcher]
    assert index._matches == {}
