"""A cluster that cases are played on, and what its answers must be."""

import asyncio
import itertools
from collections.abc import Sequence

from raftwerk.conformance import recording
from raftwerk.conformance.difference import difference, difference_of_answers, is_answered
from raftwerk.conformance.steps import Also, Case
from raftwerk.conformance.suite import Site


class Target:
    """sites: the members, which take turns."""

    def __init__(self, runner: asyncio.Runner, sites: Sequence[Site], *, is_etcd: bool) -> None:
        self._runner = runner
        self._sites = itertools.cycle(sites)
        self._is_etcd = is_etcd

    def check(self, case: Case) -> None:
        """etcd answers what was recorded of it; raftwerk too, but for the steps that give another answer, and a reason."""
        area, _, name = case.name.partition("/")
        recorded = recording.load(area)[name]
        told = self._runner.run(next(self._sites).play(case))
        if self._is_etcd:
            found = difference(list(recorded), told)
        else:
            found = difference_of_answers(case.steps, recorded, told)
        assert found is None, found
        answered = [step for step in case.steps if is_answered(step)]
        for step, answer in zip(answered, told, strict=True):
            if isinstance(step, Also) and not self._is_etcd:
                found = difference(step.answer, answer)
                assert found is None, f"{step.reason}: {found}"
