"""Automatic compaction: by age ("periodic") or by number of revisions ("revision"). The leader asks for it, through the log."""

import asyncio
from collections import deque
from typing import Final

import structlog

from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.commands import Compact, authorized, encode
from raftwerk.kv.machine import FIRST_REVISION
from raftwerk.kv.results import CompactResult
from raftwerk.server.port import Node

log = structlog.get_logger()

REVISION_INTERVAL_S: Final = 300.0
PERIOD_S_MAX: Final = 3600.0
SAMPLES: Final = 10
"""In a period: what is compacted is at most so much older than was asked for."""


class AutoCompaction:
    """Does nothing when the settings name no retention."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        settings = node.settings
        self._node = node
        self._loop = loop
        self._is_periodic = settings.auto_compaction_mode == "periodic"
        self._retention = settings.auto_compaction_retention
        """Seconds, or revisions. 0: off."""
        period_s = min(self._retention, PERIOD_S_MAX)
        self._interval_s = period_s / SAMPLES if self._is_periodic else REVISION_INTERVAL_S
        self._sampled: deque[tuple[float, int]] = deque()
        """(time, revision), the oldest first, as far as they are younger than the retention; and one older."""
        self._compacted = FIRST_REVISION  # nothing is older
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._retention > 0:
            self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._interval_s, self._look)
        upto = self._old() if self._is_periodic else self._surplus()
        node = self._node
        is_leader = node.status().leader_id == node.node_id
        if is_leader and upto > max(self._compacted, node.machine.compacted_revision):
            command = authorized(*MEMBER, encode(Compact(upto)))
            node.propose(command, lambda result: self._on_compacted(upto, result))

    def _surplus(self) -> int:
        return self._node.machine.revision - int(self._retention)

    def _old(self) -> int:
        """The newest revision known to be older than the retention. Members that follow look too: they may lead soon."""
        now_s = self._loop.time()
        self._sampled.append((now_s, self._node.machine.revision))
        while len(self._sampled) > 1 and self._sampled[1][0] <= now_s - self._retention:
            self._sampled.popleft()
        time_s, revision = self._sampled[0]
        return revision if time_s <= now_s - self._retention else 0

    def _on_compacted(self, revision: int, result: object) -> None:
        if isinstance(result, CompactResult):
            self._compacted = revision
            log.info("compacted by itself", revision=revision)
