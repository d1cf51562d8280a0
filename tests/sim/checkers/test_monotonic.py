"""What never goes back."""

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.monotonic import Monotonic
from tests.raft.builder import node


@pytest.mark.parametrize(
    ("term", "commit", "name"), [(2, 1, "Monotonic term"), (3, 0, "Monotonic indexes")]
)
def test_a_number_that_falls_within_one_life(term: int, commit: int, name: str) -> None:
    monotonic = Monotonic()
    monotonic.on_step(node(1, term=3, log="1", commit=1).state)
    with pytest.raises(Violation, match=name):
        monotonic.on_step(node(1, term=term, log="1", commit=commit).state)


def test_a_new_life_may_begin_lower() -> None:
    monotonic = Monotonic()
    monotonic.on_step(node(1, term=3, log="1", commit=1).state)
    monotonic.on_started(1)
    monotonic.on_step(node(1, term=3, log="1").state)
    with pytest.raises(Violation):
        monotonic.on_step(node(1, term=2, log="1").state)
