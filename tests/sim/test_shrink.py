"""Smaller failures."""

from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied
from raftwerk.sim.run import plan, run
from raftwerk.sim.shrink import Smaller, shrink


def test_failure_is_made_smaller_and_stays_the_same() -> None:
    mutant = BY_NAME["term-not-persisted"]
    with applied(mutant):
        told: list[Smaller] = []
        smaller = shrink(mutant.seed, attempts_max=60, on_attempt=told.append)
        assert smaller is not None
        again = run(mutant.seed, options=smaller.options, faults=smaller.faults).failure
    assert told[-1] == smaller
    assert [each.attempts for each in told] == list(range(1, smaller.attempts + 1))
    assert again is not None
    assert again.invariant == smaller.failure.invariant == "Durability"
    assert len(smaller.faults) < len(plan(mutant.seed)[1])
    assert smaller.options.network.loss == 0


def test_seed_that_does_not_fail_has_nothing_to_make_smaller() -> None:
    assert shrink(1) is None
