"""Smaller failures: leave out what the failure does not need, as long as the same property breaks.

First faults, in ever smaller groups (delta debugging, Zeller and Hildebrandt 2002), then whole options of network, disk and
workload. Each attempt is one run; all is decided by seeds, so the result can be run again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from raftwerk.sim.faults import Fault
from raftwerk.sim.journal import DiskOptions
from raftwerk.sim.network import NetworkOptions
from raftwerk.sim.options import Options
from raftwerk.sim.run import Failure, plan, run

ATTEMPTS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Smaller:
    """What is left: options and faults that still break the same property."""

    options: Options
    faults: list[Fault]
    failure: Failure
    attempts: int


def shrink(
    seed: int,
    attempts_max: int = ATTEMPTS_MAX,
    on_attempt: Callable[[Smaller], None] = lambda _smallest: None,
) -> Smaller | None:
    """Make the failure of a seed smaller; None if the seed does not fail. on_attempt: after each, gets the smallest so far."""
    options, faults = plan(seed)
    first = run(seed).failure
    if first is None:
        return None
    search = _Search(seed, Smaller(options, faults, first, 0), attempts_max, on_attempt)
    faults = search.fewer(faults, lambda some: search.attempt(options, some))
    for simpler in SIMPLIFICATIONS:
        if search.attempt(simpler(options), faults):
            options = simpler(options)
    return search.smallest


class _Search:
    def __init__(
        self,
        seed: int,
        start: Smaller,
        attempts_max: int,
        on_attempt: Callable[[Smaller], None],
    ) -> None:
        self._seed = seed
        self._attempts_max = attempts_max
        self._on_attempt = on_attempt
        self.smallest = start

    def attempt(self, options: Options, faults: Sequence[Fault]) -> bool:
        """Whether the same property breaks with these."""
        if self.smallest.attempts >= self._attempts_max:
            return False
        failure = run(self._seed, options=options, faults=faults).failure
        is_same = failure is not None and failure.invariant == self.smallest.failure.invariant
        attempts = self.smallest.attempts + 1
        if failure is not None and is_same:
            self.smallest = Smaller(options, list(faults), failure, attempts)
        else:
            self.smallest = replace(self.smallest, attempts=attempts)
        self._on_attempt(self.smallest)
        return is_same

    def fewer(self, faults: list[Fault], fails: Callable[[list[Fault]], bool]) -> list[Fault]:
        """Leave out groups of faults, each half as large as the ones before."""
        if fails([]):
            return []
        size = len(faults)
        while size > 1 or (size == 1 and len(faults) > 1):
            size = max(1, size // 2)
            start = 0
            while start < len(faults):
                rest = faults[:start] + faults[start + size :]
                if rest and fails(rest):
                    faults = rest
                else:
                    start += size
            if size == 1:
                break
        return faults


def _quiet_network(options: Options) -> Options:
    return replace(options, network=NetworkOptions(is_fifo=True))


def _no_loss(options: Options) -> Options:
    return replace(options, network=replace(options.network, loss=0.0, straggling=0.0))


def _no_duplication(options: Options) -> Options:
    return replace(options, network=replace(options.network, duplication=0.0))


def _quick_disk(options: Options) -> Options:
    return replace(options, disk=DiskOptions())


def _one_client(options: Options) -> Options:
    return replace(options, workload=replace(options.workload, clients=1, burst_us=0))


def _small_values(options: Options) -> Options:
    return replace(options, workload=replace(options.workload, value_bytes=0))


SIMPLIFICATIONS: Final[tuple[Callable[[Options], Options], ...]] = (
    _quiet_network,
    _no_loss,
    _no_duplication,
    _quick_disk,
    _one_client,
    _small_values,
)
