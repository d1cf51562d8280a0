"""The same case on etcd and on raftwerk, at the same time: the answers are equal."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from raftwerk.conformance.difference import difference_of_answers, is_answered
from raftwerk.conformance.player import Told
from raftwerk.conformance.steps import Case, Fence
from raftwerk.conformance.suite import Site


def joined(answer: Told) -> Told:
    """What watchers heard, as one: how events are packed into responses is a matter of chance."""
    watchers: dict[int, dict[str, Any]] = {}
    for response in answer["heard"]:
        told = watchers.setdefault(response.get("watch_id", 0), {"events": []})
        told["events"] += response.get("events", [])
        told |= {
            name: value for name, value in response.items() if name not in ("events", "header")
        }
    return {"heard": list(watchers.values())}


def told_of(case: Case, answers: Sequence[Told]) -> list[Told]:
    steps = [step for step in case.steps if is_answered(step)]
    return [
        joined(answer) if isinstance(step, Fence) else answer
        for step, answer in zip(steps, answers, strict=True)
    ]


class Pair:
    """sites: of raftwerk; they take turns."""

    def __init__(self, runner: asyncio.Runner, etcd: Site, sites: Sequence[Site]) -> None:
        self._runner = runner
        self._etcd = etcd
        self._sites = itertools.cycle(sites)

    def check(self, case: Case) -> None:
        """Raises AssertionError with the first difference; what is expected there is etcd's."""
        expected, told = self._runner.run(self._play(case))
        found = difference_of_answers(case.steps, told_of(case, expected), told_of(case, told))
        assert found is None, found

    async def _play(self, case: Case) -> tuple[list[Told], list[Told]]:
        expected, told = await asyncio.gather(self._etcd.play(case), next(self._sites).play(case))
        return expected, told
