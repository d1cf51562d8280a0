"""The log against a model: a plain list of entries from index 1 on, of which nothing is ever forgotten."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftwerk.raft.log import Log
from raftwerk.raft.types import Entry, EntryKind, Index, Term
from tests.raft.builder import entries

sizes = st.lists(st.integers(0, 5), max_size=4)


class LogAndModel(RuleBasedStateMachine):
    """Both are told the same; after each step all that can be asked of the log is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.model: list[Entry] = []
        self.start = 0

    def term_at(self, index: Index) -> Term:
        return self.model[index - 1].term if index else 0

    @rule(sizes=sizes, raised=st.integers(0, 2))
    def append(self, sizes: list[int], raised: int) -> None:
        term = self.term_at(len(self.model)) + raised
        first = len(self.model) + 1
        new = [
            Entry(i, term, EntryKind.COMMAND, b"x" * size) for i, size in enumerate(sizes, first)
        ]
        self.log.append(new)
        self.model += new

    @rule(choice=st.integers(0, 99))
    def truncate(self, choice: int) -> None:
        if self.start < len(self.model):
            index = self.start + 1 + choice % (len(self.model) - self.start)
            self.log.truncate_from(index)
            del self.model[index - 1 :]

    @rule(choice=st.integers(0, 99))
    def compact(self, choice: int) -> None:
        self.start += choice % (len(self.model) - self.start + 1)
        self.log.compact_to(self.start)

    @rule(ahead=st.integers(0, 3), raised=st.integers(0, 2))
    def reset(self, ahead: int, raised: int) -> None:
        term = self.term_at(len(self.model)) + raised
        self.start = len(self.model) + ahead
        self.model += [
            Entry(i, term, EntryKind.COMMAND, b"")
            for i in range(len(self.model) + 1, self.start + 1)
        ]
        self.log.reset(self.start, self.term_at(self.start))

    @rule(choice=st.integers(0, 99), count=st.integers(1, 4), bytes_max=st.integers(0, 12))
    def batch(self, choice: int, count: int, bytes_max: int) -> None:
        """As many as fit, but one at least if there is one."""
        first = self.start + 1 + choice % (len(self.model) - self.start + 1)
        taken, size = self.log.batch(first, count, bytes_max)
        rest = self.model[first - 1 :]
        fitting = [n for n in range(1, min(count, len(rest)) + 1) if volume(rest[:n]) <= bytes_max]
        assert taken == rest[: max(fitting, default=min(1, len(rest)))]
        assert size == volume(taken)

    @invariant()
    def ends_agree(self) -> None:
        assert (self.log.snapshot_index, self.log.snapshot_term) == (
            self.start,
            self.term_at(self.start),
        )
        assert (self.log.last_index, self.log.last_term) == (
            len(self.model),
            self.term_at(len(self.model)),
        )
        assert self.log.slice(self.start + 1, len(self.model) + 1) == self.model[self.start :]
        assert self.log.size_bytes == volume(self.model[self.start :])

    @invariant()
    def terms_agree(self) -> None:
        for index in range(len(self.model) + 2):
            known = self.start <= index <= len(self.model)
            assert self.log.has(index) == known
            assert self.log.matches(index, self.term_at(index) if known else 0) == known
            assert not self.log.matches(index, 1000)

    @invariant()
    def searches_agree(self) -> None:
        known = range(self.start, len(self.model) + 1)
        for index in known:
            term = self.term_at(index)
            assert self.log.term_at(index) == term
            same = [i for i in known[1:] if self.term_at(i) == term and i <= index]
            assert self.log.first_index_of_term_at(index) == min(same, default=self.start)
            not_later = [i for i in known if self.term_at(i) <= term + 1 and i <= index]
            assert self.log.last_index_of_term(term + 1, index) == max(not_later)
            older = [i for i in known if self.term_at(i) < term]
            limit = len(self.model) + 5
            assert self.log.last_index_of_term(term - 1, limit) == max(older, default=self.start)


def volume(some: list[Entry]) -> int:
    return sum(len(entry.command) for entry in some)


TestLogAgreesWithTheModel = LogAndModel.TestCase


def test_new_log_stands_before_the_first_entry() -> None:
    log = Log()
    assert (log.snapshot_index, log.last_index, log.last_term) == (0, 0, 0)
    assert log.matches(0, 0)
    assert not log.matches(1, 0)


def test_append_takes_no_gap() -> None:
    with pytest.raises(AssertionError, match="3 after 1"):
        Log(entries=entries("1")).append(entries("1", first=3))


def test_append_takes_no_gap_within() -> None:
    one, _, three = entries("1 1 1")
    with pytest.raises(AssertionError):
        Log().append([one, three])


def test_terms_never_fall_along_the_log() -> None:
    with pytest.raises(AssertionError):
        Log(entries=entries("1 3")).append(entries("2", first=3))


def test_terms_never_fall_behind_the_snapshot() -> None:
    with pytest.raises(AssertionError):
        Log(5, 4, entries("3", first=6))


@pytest.mark.parametrize("index", [4, 8], ids=["compacted", "not-yet"])
def test_term_of_an_unknown_entry_is_not_guessed(index: Index) -> None:
    with pytest.raises(AssertionError, match=rf"no term at {index}: 5\.\.7"):
        Log(5, 2, entries("2 3", first=6)).term_at(index)


@pytest.mark.parametrize(
    ("start", "stop"), [(5, 7), (7, 6), (6, 9)], ids=["snapshot", "turned", "end"]
)
def test_slice_stays_within_the_log(start: Index, stop: Index) -> None:
    with pytest.raises(AssertionError):
        Log(5, 2, entries("2 3", first=6)).slice(start, stop)


@pytest.mark.parametrize("index", [5, 8], ids=["compacted", "not-yet"])
def test_truncate_stays_within_the_log(index: Index) -> None:
    with pytest.raises(AssertionError):
        Log(5, 2, entries("2 3", first=6)).truncate_from(index)


@pytest.mark.parametrize("index", [4, 8], ids=["compacted", "not-yet"])
def test_compact_stays_within_the_log(index: Index) -> None:
    with pytest.raises(AssertionError):
        Log(5, 2, entries("2 3", first=6)).compact_to(index)
