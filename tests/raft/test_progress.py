"""What the leader knows of one follower: three modes, one window."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftwerk.raft.config import Config
from raftwerk.raft.progress import Mode, Progress
from raftwerk.raft.types import Index

CONFIG = Config(window_messages_max=3, window_bytes_max=100)


def replicating(match_index: Index = 0) -> Progress:
    progress = Progress(next_index=match_index + 1, match_index=match_index)
    progress.become_replicate()
    return progress


def test_new_progress_probes() -> None:
    """Nothing is known of the follower but where to begin."""
    progress = Progress(next_index=8)
    assert (progress.mode, progress.match_index) == (Mode.PROBE, 0)
    assert progress.can_send(CONFIG)


def test_probe_waits_for_the_answer_to_one_message() -> None:
    progress = Progress(next_index=8)
    progress.on_sent(10, 30)
    assert not progress.can_send(CONFIG)
    assert progress.next_index == 8, "the match is not known: the next probe asks the same"
    assert not progress.in_flight


def test_pipeline_goes_on_without_answers() -> None:
    progress = replicating()
    progress.on_sent(4, 30)
    assert progress.next_index == 5
    assert progress.can_send(CONFIG)


def test_window_is_bounded_in_messages() -> None:
    progress = replicating()
    for index in (1, 2, 3):
        assert progress.can_send(CONFIG)
        progress.on_sent(index, 1)
    assert not progress.can_send(CONFIG)


def test_window_is_bounded_in_bytes() -> None:
    progress = replicating()
    progress.on_sent(1, 99)
    assert progress.can_send(CONFIG)
    progress.on_sent(2, 1)
    assert not progress.can_send(CONFIG)


@pytest.mark.parametrize(
    ("match_index", "left"), [(1, [(2, 20), (5, 30)]), (4, [(5, 30)]), (5, []), (9, [])]
)
def test_match_frees_the_window_up_to_it(match_index: Index, left: list[tuple[Index, int]]) -> None:
    """A message is off the window when the last of its entries is matched."""
    progress = replicating()
    for message in ((1, 10), (2, 20), (5, 30)):
        progress.on_sent(*message)
    assert progress.on_match(match_index)
    assert list(progress.in_flight) == left
    assert progress.in_flight_bytes == sum(size for _, size in left)


def test_match_never_falls() -> None:
    """Replies of one term may come in any order."""
    progress = replicating(6)
    assert not progress.on_match(4)
    assert (progress.match_index, progress.next_index) == (6, 7)


def test_match_again_is_no_news() -> None:
    assert not replicating(6).on_match(6)


def test_match_beyond_what_was_sent_moves_next_index() -> None:
    progress = Progress(next_index=3)
    assert progress.on_match(9)
    assert progress.next_index == 10


def test_back_to_probe_forgets_the_pipeline() -> None:
    progress = replicating(2)
    progress.on_sent(5, 30)
    progress.become_probe(4)
    assert (progress.mode, progress.next_index) == (Mode.PROBE, 4)
    assert (list(progress.in_flight), progress.in_flight_bytes) == ([], 0)
    assert progress.can_send(CONFIG)


def test_probe_never_goes_back_behind_the_match() -> None:
    progress = replicating(6)
    progress.become_probe(3)
    assert progress.next_index == 7


def test_replicate_starts_behind_the_match() -> None:
    progress = Progress(next_index=9, match_index=4)
    progress.become_replicate()
    assert progress.next_index == 5


def test_snapshot_sends_no_entries() -> None:
    progress = Progress(next_index=1)
    progress.become_snapshot()
    assert not progress.can_send(CONFIG)
    with pytest.raises(AssertionError):
        progress.on_sent(1, 1)


def test_each_snapshot_starts_anew() -> None:
    progress = Progress(next_index=1)
    progress.become_snapshot()
    progress.snapshot_index, progress.snapshot_offset, progress.snapshot_silent_ms = 7, 8, 9
    progress.become_probe(1)
    progress.become_snapshot()
    state = (progress.snapshot_index, progress.snapshot_offset, progress.snapshot_silent_ms)
    assert state == (0, 0, 0)


class OneFollower(RuleBasedStateMachine):
    """A leader that sends, and a follower whose answers come late, twice, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(next_index=5)
        self.sent: list[tuple[Index, int]] = []

    @precondition(lambda self: self.progress.can_send(CONFIG))
    @rule(count=st.integers(1, 3), size=st.integers(0, 60))
    def send(self, count: int, size: int) -> None:
        last_index = self.progress.next_index + count - 1
        self.progress.on_sent(last_index, size)
        self.sent.append((last_index, size))

    @precondition(lambda self: self.sent)
    @rule(choice=st.integers(0, 99))
    def match(self, choice: int) -> None:
        self.progress.on_match(self.sent[choice % len(self.sent)][0])

    @rule(next_index=st.integers(1, 20))
    def probe(self, next_index: int) -> None:
        self.progress.become_probe(next_index)

    @rule()
    def replicate(self) -> None:
        self.progress.become_replicate()

    @rule()
    def snapshot(self) -> None:
        self.progress.become_snapshot()

    @invariant()
    def match_is_before_next(self) -> None:
        assert 0 <= self.progress.match_index < self.progress.next_index

    @invariant()
    def window_holds(self) -> None:
        in_flight = list(self.progress.in_flight)
        assert self.progress.in_flight_bytes == sum(size for _, size in in_flight)
        assert len(in_flight) <= CONFIG.window_messages_max
        assert sum(size for _, size in in_flight[:-1]) < CONFIG.window_bytes_max
        assert in_flight == sorted(in_flight)
        assert self.progress.mode is Mode.REPLICATE or not in_flight


TestOneFollower = OneFollower.TestCase
TestOneFollower.settings = settings(max_examples=50, stateful_step_count=30)
