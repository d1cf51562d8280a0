"""Every proposal gets exactly one answer, and the right one."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.raft.effects import Proposed, Refusal, Refused
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.replica.failure import Failure
from raftwerk.replica.proposals import Proposals


class Client:
    """Collects the answers to its proposals, by name."""

    def __init__(self, proposals: Proposals) -> None:
        self.proposals = proposals
        self.answers: dict[str, list[object]] = {}
        self._numbers = count(1)

    def add(self, *names: str, now_ms: int = 0) -> None:
        for name in names:
            self.answers[name] = []
            self.proposals.add(name.encode(), self.answers[name].append, now_ms)

    def ask(self) -> list[int]:
        return [event.request for event in self.proposals.take_queued(lambda: next(self._numbers))]

    def place(self, first_index: int, term: int, *names: str) -> None:
        self.add(*names)
        [request] = self.ask()
        self.proposals.on_proposed(Proposed(request, first_index, term, len(names)))

    def apply(self, first_index: int, *terms: int) -> None:
        entries = [
            Entry(index, term, EntryKind.COMMAND, b"")
            for index, term in enumerate(terms, first_index)
        ]
        self.proposals.on_applied(entries, [f"result {entry.index}" for entry in entries])


@pytest.fixture
def client() -> Client:
    return Client(Proposals(timeout_ms=1000, batch_bytes_max=100))


def test_result_goes_to_the_proposal_at_that_index_and_term(client: Client) -> None:
    client.place(5, 2, "a", "b")
    client.apply(4, 2, 2)
    client.apply(6, 2)
    assert client.answers == {"a": ["result 5"], "b": ["result 6"]}
    assert client.proposals.waiting_count == 0


def test_another_term_at_the_index_means_not_committed(client: Client) -> None:
    client.place(5, 2, "a", "b")
    client.apply(5, 3, 3)
    assert client.answers == {"a": [Failure.NOT_COMMITTED], "b": [Failure.NOT_COMMITTED]}


def test_a_batch_of_which_only_the_beginning_was_committed(client: Client) -> None:
    """The leader was lost while it replicated: the next one kept a part, and gave the other places to other entries."""
    client.place(5, 2, "a", "b", "c")
    client.apply(4, 1, 2, 3, 3)
    assert client.answers == {
        "a": ["result 5"],
        "b": [Failure.NOT_COMMITTED],
        "c": [Failure.NOT_COMMITTED],
    }
    assert (client.proposals.waiting_count, client.proposals.failed_total) == (0, 2)


def test_a_newer_leader_gives_out_the_same_index_again(client: Client) -> None:
    """What an older one put there may yet be committed, by a third one that has it (Figure 8); so may what was before."""
    client.place(5, 2, "old", "old too")
    client.place(6, 3, "new")
    assert client.answers["old"] == [Failure.TIMED_OUT_LEADER_FAILED]
    assert client.answers["old too"] == [Failure.TIMED_OUT_LEADER_FAILED]
    client.apply(5, 3, 3)
    assert client.answers["new"] == ["result 6"]


def test_a_late_answer_of_an_older_leader_does_not_replace_the_newer(client: Client) -> None:
    client.place(5, 3, "new")
    client.place(5, 2, "old")
    assert client.answers["old"] == [Failure.TIMED_OUT_LEADER_FAILED]
    client.apply(5, 3)
    assert client.answers["new"] == ["result 5"]


def test_a_batch_that_loses_its_place_takes_no_older_one_with_it(client: Client) -> None:
    """Its places begin in an older leader's batch and end in a newer one's: each has one answer all the same."""
    client.place(5, 1, "oldest")
    client.place(6, 3, "newest")
    client.place(5, 2, "between", "between too")
    assert client.answers["between"] == [Failure.TIMED_OUT_LEADER_FAILED]
    assert client.answers["oldest"] == []
    client.apply(5, 1, 3)
    assert client.answers["oldest"] == ["result 5"]
    assert client.answers["newest"] == ["result 6"]
    assert client.proposals.waiting_count == 0


def test_what_a_later_term_came_before_is_answered_at_once(client: Client) -> None:
    """Terms never fall along a log: after an entry of term 3 none of term 2 can follow. Its place may stay empty for long."""
    client.place(6, 3, "newer")
    client.place(7, 2, "a", "b")
    client.apply(4, 2)
    assert client.answers["a"] == []
    client.apply(5, 3)
    assert client.answers == {
        "newer": [],
        "a": [Failure.NOT_COMMITTED],
        "b": [Failure.NOT_COMMITTED],
    }
    client.apply(6, 3)
    assert client.answers["newer"] == ["result 6"]
    assert client.proposals.waiting_count == 0


def test_a_place_after_a_later_term_is_not_committed_when_it_becomes_known(client: Client) -> None:
    client.apply(5, 3)
    client.place(7, 2, "a")
    assert client.answers["a"] == [Failure.NOT_COMMITTED]


@pytest.mark.parametrize("term", [2, 3])
def test_a_place_that_was_applied_before_it_was_known_is_unknown(client: Client, term: int) -> None:
    client.apply(5, 3)
    client.place(5, term, "a")
    assert client.answers["a"] == [Failure.TIMED_OUT]


def test_a_snapshot_that_skips_the_place_leaves_the_outcome_unknown(client: Client) -> None:
    client.place(5, 2, "a")
    client.place(9, 2, "b")
    client.proposals.on_snapshot(7)
    assert client.answers == {"a": [Failure.TIMED_OUT], "b": []}


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (Refusal.OVERLOADED, Failure.OVERLOADED),
        (Refusal.NO_SPACE, Failure.NO_SPACE),
        (Refusal.OUTCOME_UNKNOWN, Failure.TIMED_OUT_LEADER_FAILED),
    ],
)
def test_refusals_are_reported(client: Client, refusal: Refusal, failure: Failure) -> None:
    client.add("a")
    [request] = client.ask()
    assert client.proposals.on_refused(Refused(request, refusal))
    assert client.answers["a"] == [failure]


@pytest.mark.parametrize("refusal", [Refusal.NO_LEADER, Refusal.NOT_LEADER])
def test_what_certainly_did_not_happen_is_asked_again(client: Client, refusal: Refusal) -> None:
    client.add("a")
    [request] = client.ask()
    client.proposals.on_refused(Refused(request, refusal))
    client.add("b")
    assert client.answers == {"a": [], "b": []}
    first, second = client.ask()
    client.proposals.on_proposed(Proposed(first, 5, 2, 1))
    client.proposals.on_proposed(Proposed(second, 6, 2, 1))
    client.apply(5, 2, 2)
    assert client.answers == {"a": ["result 5"], "b": ["result 6"]}


def test_what_is_asked_again_keeps_its_order_and_its_deadline(client: Client) -> None:
    for now_ms, letter in enumerate("abc"):
        client.add(letter * 90, now_ms=now_ms * 400)
    requests = client.ask()
    client.add("d" * 90, now_ms=900)
    for request in requests:
        client.proposals.on_refused(Refused(request, Refusal.NOT_LEADER))
    client.proposals.expire(1000, has_leader=False)
    assert [name[0] for name, answers in client.answers.items() if answers] == ["a"]
    events = client.proposals.take_queued(count(100).__next__)
    assert [event.commands[0][:1] for event in events] == [b"b", b"c", b"d"]


def test_a_placed_proposal_keeps_its_deadline_behind_a_newer_one(client: Client) -> None:
    """Places are told in any order: the older proposal may have the higher one."""
    client.add("old" * 30)
    client.add("new" * 30, now_ms=500)
    old, new = client.ask()
    client.proposals.on_proposed(Proposed(new, 5, 2, 1))
    client.proposals.on_proposed(Proposed(old, 6, 2, 1))
    client.proposals.expire(1000, has_leader=True)
    assert client.answers == {"old" * 30: [Failure.TIMED_OUT], "new" * 30: []}


def test_a_refusal_of_somebody_else_is_left_alone(client: Client) -> None:
    assert not client.proposals.on_refused(Refused(77, Refusal.NO_LEADER))


def test_deadline_of_a_placed_proposal_means_unknown_and_of_a_queued_one_no_leader(
    client: Client,
) -> None:
    client.place(5, 2, "placed")
    client.add("queued")
    client.proposals.expire(999, has_leader=True)
    assert client.answers == {"placed": [], "queued": []}
    client.proposals.expire(1000, has_leader=False)
    assert client.answers == {
        "placed": [Failure.TIMED_OUT_CONNECTION_LOST],
        "queued": [Failure.NO_LEADER],
    }


def test_a_large_command_travels_in_a_batch_of_its_own(client: Client) -> None:
    client.add("a", "x" * 90, "y" * 90)
    assert len(client.ask()) == 2


def test_stopping_answers_everybody(client: Client) -> None:
    client.place(5, 2, "placed")
    client.add("asked")
    client.ask()
    client.add("queued")
    client.proposals.fail_all()
    assert client.answers == {
        "placed": [Failure.TIMED_OUT],
        "asked": [Failure.TIMED_OUT],
        "queued": [Failure.STOPPED],
    }


@given(st.lists(st.integers(1, 4), max_size=8), st.lists(st.integers(1, 5), max_size=20))
def test_any_grouping_of_applied_entries_gives_each_its_own_result(
    batches: list[int], cuts: list[int]
) -> None:
    client = Client(Proposals(1000, 10_000))
    index = 1
    for number, size in enumerate(batches):
        client.place(index, 1, *(f"{number}.{item}" for item in range(size)))
        index += size
    applied = 1
    for cut in [*cuts, index]:
        size = min(cut, index - applied)
        if size:
            client.apply(applied, *([1] * size))
        applied += size
    expected = {name: [f"result {place}"] for place, name in enumerate(client.answers, 1)}
    assert client.answers == expected


@pytest.mark.parametrize("end", ["placed", "refused", "expired", "node stopped"])
def test_bytes_are_counted_until_the_log_has_them_or_nobody_wants_them(
    client: Client, end: str
) -> None:
    client.add("four", "sixsix")
    assert client.proposals.held_bytes == 10
    [request] = client.ask()
    assert client.proposals.held_bytes == 10, "they may have to wait again"
    client.proposals.on_refused(Refused(request, Refusal.NO_LEADER))
    assert client.proposals.held_bytes == 10
    if end == "placed":
        client.proposals.on_proposed(Proposed(client.ask()[0], 5, 2, 2))
    elif end == "refused":
        client.proposals.on_refused(Refused(client.ask()[0], Refusal.OVERLOADED))
    elif end == "expired":
        client.proposals.expire(1000, has_leader=False)
    else:
        client.proposals.fail_all()
    assert client.proposals.held_bytes == 0
