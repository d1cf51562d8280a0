"""Counts that are remembered: always those of the model, few of them, and a page costs no more rows than it has."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.commands import Command, Compact, DeleteRange, Operation, Put, RangeQuery, Txn
from raftwerk.kv.counts import KNOWN_MAX, Counts
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import RangeResult
from raftwerk.kv.rows import decode_key_value
from raftwerk.kv.store import Table
from raftwerk.storage.memory import MemoryStore
from tests.kv.model import Model, Range, Transaction
from tests.kv.rig import Rig
from tests.kv.strategies import KEYS, deletions, puts

REVISION = b"bound"


def test_count_holds_for_the_starts_between_which_no_key_is() -> None:
    counts = Counts()
    counts.keep(REVISION, b"z", b"b", b"d", 7)
    found = [counts.find(REVISION, b"z", start) for start in (b"a", b"b", b"c", b"d", b"d\0")]
    assert found == [None, 7, 7, 7, None]
    assert counts.find(b"other", b"z", b"c") is None
    assert counts.find(REVISION, None, b"c") is None
    counts.keep(REVISION, b"z", b"c", b"d", 7)
    assert counts.find(REVISION, b"z", b"b") == 7, "what was known is not forgotten"


def test_counts_used_least_lately_go() -> None:
    counts = Counts()
    for number in range(KNOWN_MAX):
        counts.keep(b"%d" % number, None, b"a", b"a", number)
    assert counts.find(b"0", None, b"a") == 0
    counts.keep(b"new", None, b"a", b"a", 5)
    assert [counts.find(bound, None, b"a") for bound in (b"0", b"1", b"2")] == [0, None, 2]


PAGES = st.builds(
    RangeQuery,
    KEYS,
    st.sampled_from([b"\0", b"b", b"\xff"]),
    limit=st.integers(0, 3),
    revision=st.integers(0, 8),
    keys_only=st.booleans(),
    count_only=st.booleans(),
    min_mod_revision=st.sampled_from([0, 0, 0, 3]),
)
"""Few different ones, so that most of them meet a count that another one has left."""
STEPS = st.one_of(
    PAGES,
    PAGES,
    PAGES,
    puts(),
    deletions(),
    st.builds(Txn, st.just(()), st.lists(st.one_of(puts(), PAGES), max_size=3).map(tuple)),
    st.builds(Compact, st.integers(1, 8)),
    st.sampled_from(["remove", "checkpoint", "crash"]),
)


@given(st.lists(STEPS, max_size=50))
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_answers_are_those_of_the_model_whatever_was_counted_before(
    steps: list[Operation | Command | str],
) -> None:
    rig, model = Rig(), Model()
    for step in steps:
        if step == "remove":
            rig.remove_all()
        elif step == "checkpoint":
            rig.checkpoint()
        elif step == "crash":
            rig.crash()
        else:
            assert not isinstance(step, str)
            assert rig.execute(step) == model.execute(step)


def test_snapshot_of_another_history_makes_all_counts_unknown() -> None:
    rig, other = Rig(), Rig()
    rig.execute_all(Put(b"a"), Put(b"b"), Put(b"c"))
    other.execute_all(Put(b"a"), Put(b"a"), Put(b"b"))
    other.checkpoint()
    first = RangeQuery(b"\0", b"\0", limit=1, revision=4)
    assert rig.execute(first) != other.execute(first)
    rig.install(other.store.open_snapshot())
    assert rig.execute(first) == other.execute(first)


def test_transaction_that_writes_counts_what_it_has_written() -> None:
    rig = Rig()
    count = RangeQuery(b"\0", b"\0", count_only=True)
    answer = rig.execute(Txn((), (count, Put(b"a"), count, Put(b"b"), count)))
    assert isinstance(answer, Transaction)
    found = [response.count for response in answer.responses if isinstance(response, Range)]
    assert found == [0, 1, 2]


class CountingStore(MemoryStore):
    """Counts the rows that scans look at."""

    rows = 0

    def scan(
        self, table: Table, start: bytes, stop: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for row in super().scan(table, start, stop, reverse=reverse):
            self.rows += 1
            yield row


KEYS_TOTAL = 1000
PAGE = 50
NEXT_START = {
    "behind the last key": lambda kvs: kvs[-1] + b"\0",
    "at the last key": lambda kvs: kvs[-1] if len(kvs) == PAGE else kvs[-1] + b"\0",
}


@pytest.mark.parametrize("is_written", [False, True], ids=["at rest", "while keys are written"])
@pytest.mark.parametrize("next_start", NEXT_START.values(), ids=NEXT_START)
def test_pages_at_one_revision_look_at_every_key_about_twice(
    next_start: Callable[[list[bytes]], bytes], is_written: bool
) -> None:
    """Once for its page, once to count: as few as can be, where each page by itself would count all that are left."""
    rig = Rig()
    rig.store = store = CountingStore()
    rig.machine = KvMachine(store)
    for number in range(KEYS_TOTAL):
        rig.execute(Put(b"%06d" % number))
    key, revision = b"\0", rig.machine.revision
    store.rows = pages = 0
    found: list[bytes] = []
    more = True
    while more:
        query = RangeQuery(key, b"\0", limit=PAGE, revision=revision)
        page = rig.machine.range(query)
        assert isinstance(page, RangeResult)
        kvs = [decode_key_value(kv).key for kv in page.kvs]
        found += kvs[key in found :]
        assert page.count == KEYS_TOTAL - len(found) + len(kvs)
        key, more, pages = next_start(kvs), page.more, pages + 1
        if is_written:
            rig.execute_all(Put(b"%06d+" % pages), DeleteRange(b"%06d" % (KEYS_TOTAL - pages)))
    assert found == [b"%06d" % number for number in range(KEYS_TOTAL)]
    assert store.rows <= 2 * KEYS_TOTAL + 3 * pages
