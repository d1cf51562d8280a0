"""A campaign: many seeds over any concurrent.futures.Executor, and what they visited together.

A worker is a function of picklable arguments, so that executors of other packages (processes, a cluster) do as well.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field

from raftwerk.errors import UsageError
from raftwerk.sim.mutants.mutant import Mutant, applied
from raftwerk.sim.run import Failure, Report, run
from raftwerk.sim.scenarios.catalogue import find
from raftwerk.sim.scenarios.scenario import perform


@dataclass(slots=True)
class Summary:
    """All reports so far. seconds: of the wall."""

    runs: int = 0
    events: int = 0
    simulated_ms: int = 0
    operations: int = 0
    seconds: float = 0.0
    coverage: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.runs += 1
        self.events += report.events
        self.simulated_ms += report.simulated_ms
        self.operations += report.operations
        self.coverage += report.coverage
        if report.failure is not None:
            self.failures.append(report.failure)


@dataclass(frozen=True, slots=True)
class Catch:
    """How a mutant fared. seed, invariant: 0 and "" if it survived."""

    mutant: str
    attempts: int
    seed: int
    invariant: str


def campaign(
    executor: Executor,
    jobs: int,
    seeds: Iterable[int],
    *,
    seconds_max: float = float("inf"),
    on_report: Callable[[Report, Summary], None] = lambda _report, _summary: None,
    failures_max: int = 10,
) -> Summary:
    """Run seeds until they end, time is up, or too much has failed. jobs: how many at once; on_report: after each run.

    Raises UsageError for less than one job: nothing would run, and nothing fail.
    """
    if jobs < 1:
        raise UsageError(f"campaign: jobs is how many seeds run at once, 1 or more, not {jobs}")
    seeds = iter(seeds)
    summary, started = Summary(), time.monotonic()
    waiting: set[Future[Report]] = set()
    is_over = False
    while True:
        while not is_over and len(waiting) < jobs:
            seed = next(seeds, None)
            is_over = seed is None
            if seed is not None:
                waiting.add(executor.submit(run, seed))
        if not waiting:
            return summary
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            report = future.result()
            summary.add(report)
            summary.seconds = time.monotonic() - started
            on_report(report, summary)
        if summary.seconds >= seconds_max or len(summary.failures) >= failures_max:
            is_over = True


def hunt(mutant: Mutant, attempts_max: int) -> Catch:
    """Run simulations with a mutant until one breaks: its known one first, then seeds from 1 on."""
    with applied(mutant):
        if mutant.scenario:
            failure = perform(find(mutant.scenario), mutant.seed)
        else:
            failure = run(mutant.seed).failure
        attempts = 1
        while failure is None and attempts < attempts_max:
            failure = run(attempts).failure
            attempts += 1
    if failure is None:
        return Catch(mutant.name, attempts, 0, "")
    return Catch(mutant.name, attempts, failure.seed, failure.invariant)
