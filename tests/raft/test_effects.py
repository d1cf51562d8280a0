"""What the core wants done."""

from dataclasses import fields

import pytest

from raftwerk.raft.effects import Effects, Persist, Refusal
from tests.raft.builder import node


def test_nothing_happened_and_nothing_is_to_be_done() -> None:
    assert node(1).step() == Effects()


def test_batches_share_nothing() -> None:
    """A default list of one batch must not be that of the next."""
    one, other = Effects(), Effects()
    lists = [field.name for field in fields(Effects) if isinstance(getattr(one, field.name), list)]
    assert len(lists) == 9
    assert all(getattr(one, name) is not getattr(other, name) for name in lists)


def test_persist_without_changes_of_the_log_carries_the_hard_state_alone() -> None:
    persist = Persist(ticket=1, current_term=3, voted_for=2)
    assert (persist.truncate_from, persist.reset_to, persist.entries) == (0, None, ())


@pytest.mark.parametrize("refusal", Refusal)
def test_refusals_survive_the_wire_as_words(refusal: Refusal) -> None:
    """Replies carry them as text (messages.py)."""
    assert Refusal(refusal.value) is refusal
    assert refusal.value, "the empty text means: not refused"


def test_refusal_in_the_words_of_a_newer_version_tells_nothing() -> None:
    assert Refusal("for a reason not known yet") is Refusal.OUTCOME_UNKNOWN
