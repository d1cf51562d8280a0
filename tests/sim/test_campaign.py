"""Campaigns over an executor."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.campaign import Summary, campaign, hunt
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import Mutant
from raftwerk.sim.run import Report


def test_campaign_runs_every_seed_once_and_adds_up() -> None:
    seen: list[int] = []

    def on_report(report: Report, summary: Summary) -> None:
        seen.append(report.seed)
        assert summary.runs == len(seen)

    with ThreadPoolExecutor(1) as executor:
        summary = campaign(executor, 2, range(1, 3), seconds_max=60, on_report=on_report)
    assert sorted(seen) == [1, 2]
    assert summary.failures == []
    assert summary.coverage["start: new"] > 2
    assert summary.simulated_ms > 2 * 11_000


class AtOnce(ThreadPoolExecutor):
    """An executor of another kind: the work is done when it is submitted."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[Report] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_campaign_ends_when_time_is_up() -> None:
    summary = campaign(
        AtOnce(1), 1, iter(range(1, 1000)), seconds_max=0, on_report=lambda report, summary: None
    )
    assert summary.runs == 1


@pytest.mark.parametrize("jobs", [0, -1])
def test_campaign_that_would_run_nothing_is_refused(jobs: int) -> None:
    with pytest.raises(UsageError, match=f"jobs is how many seeds run at once, .* not {jobs}"):
        campaign(AtOnce(1), jobs, range(1, 3))


def test_hunt_tells_what_caught_a_mutant_or_that_nothing_did() -> None:
    catch = hunt(BY_NAME["two-votes-in-a-term"], attempts_max=5)
    assert (catch.seed, catch.invariant) == (1, "AVoterStartsAgain: One vote a term")
    harmless = Mutant(
        "harmless", "raft.quorum:is_lost", "bool(membership.outgoing)", "membership.outgoing"
    )
    assert hunt(harmless, attempts_max=2).seed == 0
