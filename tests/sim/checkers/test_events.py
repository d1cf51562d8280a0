"""The checker of watches notices events that are missing, repeated, split, altered or announced too early."""

import pytest

from raftwerk.kv.commands import ALL_FROM_KEY, DeleteRange, Put, Txn, encode
from raftwerk.kv.watch_history import History
from raftwerk.kv.watch_index import Interest
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.events import WatchedEvents
from raftwerk.sim.kv_machine import SimKvMachine
from raftwerk.storage.memory import MemoryStore

ALL = Interest(b"\0", ALL_FROM_KEY)
WITH_PREV = ALL._replace(prev_kv=True)


class Setting:
    """Revision 2: a is set; 3: a and b are set; 4: a is deleted."""

    def __init__(self) -> None:
        self.machine = SimKvMachine(MemoryStore())
        self.checker = WatchedEvents(self.machine)
        both = Txn(success=(Put(b"a", b"2"), Put(b"b", b"1")))
        for command in (Put(b"a", b"1"), both, DeleteRange(b"a")):
            self.machine.apply([encode(command)], 1, b"")
            self.checker.on_revision(self.machine.revision)
        history = History(self.machine, self.machine.store)
        self.events, _ = history.read(b"", 10)

    def fields(self, *places: int, prev: bool = False) -> bytes:
        chosen = [self.events[place] for place in places]
        if prev:
            return b"".join(event.field_with_prev(self.machine.store, -1) for event in chosen)
        return b"".join(event.field() for event in chosen)

    def check(self, first: int, data: bytes, interest: Interest = ALL) -> int:
        return self.checker.check_delivery("it", interest, first, data, -1)


def test_all_events_in_order_whole_revisions() -> None:
    setting = Setting()
    assert setting.check(1, setting.fields(0)) == 2
    assert setting.check(3, setting.fields(1, 2, 3)) == 4
    assert setting.check(2, setting.fields(0, 1, 2, 3, prev=True), WITH_PREV) == 4
    assert setting.check(2, setting.fields(2), Interest(b"b")) == 3
    assert setting.check(2, setting.fields(3), ALL._replace(has_puts=False)) == 4


@pytest.mark.parametrize(
    ("first", "places"),
    [(2, (1, 2)), (3, (0, 1, 2)), (2, (0, 1)), (3, (2, 1)), (3, (1, 2, 2)), (5, (3,))],
    ids=["missing", "repeated", "split", "order", "twice", "old"],
)
def test_other_events(first: int, places: tuple[int, ...]) -> None:
    setting = Setting()
    with pytest.raises(Violation, match="on there were"):
        setting.check(first, setting.fields(*places))


def test_the_value_before() -> None:
    setting = Setting()
    with pytest.raises(Violation, match="as before"):
        setting.check(4, setting.fields(3), WITH_PREV)
    assert setting.checker.check_delivery("it", WITH_PREV, 4, setting.fields(3), 4) == 4
    with pytest.raises(Violation, match="did not want"):
        setting.check(4, setting.fields(3, prev=True))


def test_progress_ahead_of_an_event() -> None:
    setting = Setting()
    setting.checker.check_progress("it", Interest(b"b"), 4, 4)
    with pytest.raises(Violation, match="before the events of"):
        setting.checker.check_progress("it", Interest(b"b"), 3, 4)


def test_an_end_without_a_reason() -> None:
    setting = Setting()
    with pytest.raises(Violation, match="was ended at 2"):
        setting.checker.check_compacted("it", 1, 2)


@pytest.mark.parametrize(
    ("interest", "first", "revision"),
    [
        (ALL, 3, 3),
        (Interest(b"b"), 0, 3),
        (Interest(b"b"), 4, 5),
        (ALL._replace(has_puts=False), 2, 4),
        (ALL, 9, 9),
    ],
)
def test_next_event_that_a_watch_should_get(interest: Interest, first: int, revision: int) -> None:
    assert Setting().checker.next_wanted(interest, first) == revision
