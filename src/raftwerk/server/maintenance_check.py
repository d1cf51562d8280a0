"""The check that the members hold the same data, from time to time, by itself.

The leader hashes all versions at its revision, slowly, and puts the result into the log. Each member that applies this command
hashes its own at that revision and raises the CORRUPT alarm when it finds another. The log is the way, so the check needs no
further connections and no rights, and all members compare at the same place. A compaction in between ends a check: another
one comes.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

import structlog

from raftwerk.kv.commands import AlarmKind, HashCheck, encode
from raftwerk.kv.compaction import HashScan
from raftwerk.kv.results import KvError
from raftwerk.server.alarms import Alarms
from raftwerk.server.port import Node

log = structlog.get_logger()

SLICE_ROWS: Final = 100
"""Hashed in one turn: about a millisecond."""
PAUSE_S: Final = 0.005
"""Between two slices: clients do not notice a check."""


class CorruptionCheck:
    """See the module's text."""

    def __init__(
        self, node: Node, loop: asyncio.AbstractEventLoop, alarms: Alarms, interval_s: float
    ) -> None:
        """interval_s: 0: no check is begun here, but those of others are answered."""
        self._node = node
        self._loop = loop
        self._alarms = alarms
        self._interval_s = interval_s
        self._timer: asyncio.TimerHandle | None = None
        self._scan: _Scan | None = None

    def start(self) -> None:
        self._node.machine.on_hash_check = self._on_hash_check
        if self._interval_s > 0:
            self._timer = self._loop.call_later(self._interval_s, self._begin)

    def stop(self) -> None:
        self._node.machine.on_hash_check = None
        if self._timer is not None:
            self._timer.cancel()
        self._abandon()

    def _abandon(self) -> None:
        if self._scan is not None:
            self._scan.stop()
            self._scan = None

    def _begin(self) -> None:
        """Hash, if this member leads."""
        self._timer = self._loop.call_later(self._interval_s, self._begin)
        node = self._node
        if node.status().leader_id == node.node_id and self._scan is None:
            machine = node.machine
            found = HashCheck(node.node_id, machine.revision, machine.compacted_revision, 0)
            self._start_scan(found, self._propose)

    def _start_scan(self, check: HashCheck, done: "_Done") -> None:
        """Hash what a check is about."""
        self._abandon()
        scan = self._node.machine.hash_sliced(check.revision)
        if isinstance(scan, KvError) or check.compacted_revision != (
            self._node.machine.compacted_revision
        ):
            return
        self._scan = _Scan(self, self._node, self._loop, scan, check, done)
        self._scan.step()

    def _propose(self, check: HashCheck, total: int) -> None:
        command = HashCheck(check.node_id, check.revision, check.compacted_revision, total)
        self._node.propose(encode(command), lambda _: None)

    def _on_hash_check(self, check: HashCheck) -> None:
        if check.node_id != self._node.node_id:
            self._start_scan(check, self._compare)

    def _compare(self, check: HashCheck, total: int) -> None:
        if total != check.hash:
            log.critical(
                "the data of this member differ from another's",
                revision=check.revision,
                other=f"{check.node_id:x}",
            )
            self._alarms.activate(AlarmKind.CORRUPT)

    def ended(self, scan: "_Scan") -> None:
        if self._scan is scan:
            self._scan = None


class _Scan:
    """One hash in the making. It ends without a result when a snapshot replaces the state."""

    def __init__(
        self,
        owner: CorruptionCheck,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        scan: HashScan,
        check: HashCheck,
        done: "_Done",
    ) -> None:
        self._owner = owner
        self._machine = node.machine
        self._restores = node.machine.restores
        self._loop = loop
        self._scan = scan
        self._check = check
        self._done = done
        self._timer: asyncio.TimerHandle | None = None

    def step(self) -> None:
        if self._machine.restores != self._restores:
            self.stop()
            self._owner.ended(self)
            return
        total = self._scan.step(SLICE_ROWS)
        if total is None:
            self._timer = self._loop.call_later(PAUSE_S, self.step)
            return
        self._owner.ended(self)
        self._done(self._check, total)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._scan.close()


_Done: TypeAlias = Callable[[HashCheck, int], None]
"""Takes a check and the hash that was found."""
