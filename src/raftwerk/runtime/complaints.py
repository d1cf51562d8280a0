"""Warnings that anybody who reaches a port can cause: each is told once in a while, with how many were left out before."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()

INTERVAL_S: Final = 10.0
"""At most so often each is told."""


class Complaints:
    """By event: a fixed text each, so that there are few."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told_at: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def warn(self, event: str, **facts: str) -> None:
        """Tell it, or count it. facts: of this one alone."""
        now = self._now()
        if event in self._told_at and now < self._told_at[event] + INTERVAL_S:
            self._left_out[event] += 1
            return
        self._told_at[event] = now
        left_out = self._left_out.pop(event, 0)
        log.warning(event, **facts, **({"left_out": left_out} if left_out else {}))
