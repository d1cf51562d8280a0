"""The one server of the course: its clerks see what they should, and what is wrong is noticed."""

import pytest

from raftwerk.sim.scenarios.catalogue import SCENARIOS
from raftwerk.sim.scenarios.course_server import Clerk, Seen, Write, locking, work
from raftwerk.sim.scenarios.scenario import Scenario, perform
from raftwerk.sim.scenarios.stage import Stage

ONE = SCENARIOS["KvsrvReliablePut"].options
QUICK = [name for name in SCENARIOS if name.startswith("Lock") or name == "KvsrvUnreliableNet"]


@pytest.mark.parametrize("name", QUICK)
def test_scenario_under_another_seed(name: str) -> None:
    failure = perform(SCENARIOS[name], 2)
    assert failure is None, str(failure)


def begun() -> Stage:
    stage = Stage(2, ONE)
    stage.begin()
    return stage


def test_what_is_lost_is_sent_again_and_its_outcome_is_unknown() -> None:
    seen: list[Seen] = []

    def clerk() -> Clerk:
        for version in range(40):
            answer = yield Write(b"k", b"v", version)
            seen.append(answer)

    work(begun(), [clerk()], loss=0.4)
    outcomes = [answer.done for answer in seen]
    assert {True, None} == set(outcomes)


def test_a_put_of_an_older_version_says_what_is_there() -> None:
    seen: list[Seen] = []

    def clerk() -> Clerk:
        yield Write(b"k", b"first", 0)
        seen.append((yield Write(b"k", b"second", 0)))

    work(begun(), [clerk()])
    assert seen == [Seen(b"first", 1, done=False)]


def test_two_inside_one_lock_are_noticed() -> None:
    inside = {b"somebody"}

    def play(stage: Stage) -> None:
        """Somebody was inside before."""
        work(stage, [locking(b"me", inside, 1)])

    failure = perform(Scenario("Broken", play, ONE))
    assert failure is not None
    assert "has the lock" in failure.invariant
