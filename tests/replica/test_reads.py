"""Every linearizable read gets exactly one answer, and never before the state machine is there."""

from itertools import count

from raftwerk.raft.effects import ReadReady, Refusal, Refused
from raftwerk.replica.failure import Failure
from raftwerk.replica.reads import Reads


def started(*names: str) -> tuple[Reads, dict[str, list[Failure | None]], list[int]]:
    """Reads that were asked about, their answers by name, and the request numbers."""
    reads = Reads(timeout_ms=1000)
    answers: dict[str, list[Failure | None]] = {name: [] for name in names}
    for name in names:
        reads.add(answers[name].append, 0)
    numbers = count(1)
    return reads, answers, [event.request for event in reads.take_queued(lambda: next(numbers))]


def test_reads_between_two_steps_share_one_request() -> None:
    _, _, requests = started("a", "b")
    assert len(requests) == 1


def test_a_read_waits_for_the_state_machine() -> None:
    reads, answers, [request] = started("a")
    reads.on_ready(ReadReady(request, 5))
    reads.release(4)
    assert answers["a"] == []
    reads.release(5)
    assert answers["a"] == [None]
    reads.release(6)
    assert answers["a"] == [None]


def test_a_refused_read_is_asked_again_with_a_number_of_its_own() -> None:
    reads, answers, [request] = started("a")
    assert reads.on_refused(Refused(request, Refusal.NOT_LEADER))
    reads.add(lambda _: None, 0)
    again = [event.request for event in reads.take_queued(count(request + 1).__next__)]
    assert len(again) == 2
    reads.on_ready(ReadReady(again[0], 0))
    reads.release(0)
    assert answers["a"] == [None]


def test_a_refusal_of_somebody_else_is_left_alone() -> None:
    reads, _, _ = started("a")
    assert not reads.on_refused(Refused(77, Refusal.NO_LEADER))


def test_a_read_that_waits_too_long_fails() -> None:
    reads, answers, [request] = started("a")
    reads.on_ready(ReadReady(request, 5))
    reads.expire(999, has_leader=True)
    assert answers["a"] == []
    reads.expire(1000, has_leader=True)
    assert answers["a"] == [Failure.TIMED_OUT]
    reads.release(5)
    assert answers["a"] == [Failure.TIMED_OUT]


def test_a_read_whose_index_is_never_told_fails_and_is_not_answered_again() -> None:
    """A leader that cannot commit in its term confirms nothing (thesis 6.4): the deadline ends the wait."""
    reads, answers, [request] = started("a")
    reads.expire(1000, has_leader=True)
    assert answers["a"] == [Failure.TIMED_OUT]
    reads.on_ready(ReadReady(request, 5))
    reads.release(5)
    assert not reads.on_refused(Refused(request, Refusal.NOT_LEADER))
    assert not reads.has_queued
    assert answers["a"] == [Failure.TIMED_OUT]


def test_a_read_that_is_asked_again_and_again_keeps_its_deadline() -> None:
    """A follower whose leader gives no read index asks anew between any two ticks."""
    reads, answers, [request] = started("a")
    reads.on_refused(Refused(request, Refusal.NOT_LEADER))
    reads.take_queued(count(request + 1).__next__)
    reads.expire(1000, has_leader=True)
    assert answers["a"] == [Failure.TIMED_OUT]


def test_a_read_without_a_leader_says_so() -> None:
    reads = Reads(1000)
    answers: list[Failure | None] = []
    reads.add(answers.append, 0)
    reads.expire(1000, has_leader=False)
    assert answers == [Failure.NO_LEADER]
    assert not reads.has_queued


def test_stopping_answers_everybody() -> None:
    reads, answers, _ = started("asked")
    queued: list[Failure | None] = []
    reads.add(queued.append, 0)
    reads.fail_all()
    assert answers["asked"] == [Failure.STOPPED]
    assert queued == [Failure.STOPPED]
