"""What is wrong with the members: the alarms that the log has, and this member's own disk.

This member raises NOSPACE through the log when its store is over the quota; it stays raised, as in etcd, until somebody
disarms it. A full disk is no matter of the log, which needs that disk: it shows as NOSPACE of this member alone, and ends by
itself when there is space again.
"""

import asyncio
from typing import Final

import structlog

from raftwerk.api import rpc_pb2
from raftwerk.kv.commands import AlarmKind, AlarmSet, encode
from raftwerk.kv.results import AlarmResult
from raftwerk.server.port import Node

log = structlog.get_logger()

LOOK_S: Final = 0.5
"""How often the size of the store is looked at."""
NAMES: Final = {AlarmKind.NO_SPACE: "NOSPACE", AlarmKind.CORRUPT: "CORRUPT"}


class Alarms:
    """See the module's text."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._is_over_quota = False
        self._told_full = False
        self._wanted: set[AlarmKind] = set()
        """Those that the log does not have yet."""
        self._asking: set[AlarmKind] = set()
        """Of those, under way to it."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        self.look()
        self._timer = self._loop.call_later(LOOK_S, self.start)

    def look(self) -> None:
        """After the disk and the quota, and after what the log does not have yet."""
        self._tell_of_the_disk()
        quota = self._node.settings.quota_backend_bytes
        self._is_over_quota = 0 < quota < self._node.machine.size_bytes[1]
        self._wanted.discard(AlarmKind.NO_SPACE)  # it may have passed
        if self._is_over_quota:
            self._wanted.add(AlarmKind.NO_SPACE)
        for kind in sorted(self._wanted):
            self._ask(kind)

    def _tell_of_the_disk(self) -> None:
        is_full = self._node.is_disk_full
        if is_full and not self._told_full:
            folder = str(self._node.settings.data_dir)
            log.warning("the disk is full: no writes by way of this member", folder=folder)
        elif self._told_full and not is_full:
            log.info("there is space on the disk again")
        self._told_full = is_full

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def activate(self, kind: AlarmKind) -> None:
        """Raise an alarm of this member. Asked for again when it comes to nothing."""
        self._wanted.add(kind)
        self._ask(kind)

    def _ask(self, kind: AlarmKind) -> None:
        if self._own(kind) in self._raised:
            self._wanted.discard(kind)
        elif kind not in self._asking and self._node.has_leader:
            log.warning(
                "raising an alarm: writes are refused until it is disarmed", alarm=NAMES[kind]
            )
            self._asking.add(kind)
            command = AlarmSet(kind, self._node.node_id, is_raised=True)
            self._node.propose(encode(command), lambda result: self._on_answered(kind, result))

    def _on_answered(self, kind: AlarmKind, result: object) -> None:
        self._asking.discard(kind)
        if isinstance(result, AlarmResult):
            self._wanted.discard(kind)

    @property
    def _raised(self) -> frozenset[tuple[AlarmKind, int]]:
        return self._node.machine.alarms.raised

    def _own(self, kind: AlarmKind) -> tuple[AlarmKind, int]:
        return kind, self._node.node_id

    def refuse_growth(self) -> bool:
        """Whether what would add data is refused for want of space, without asking the log.

        Only for what this member knows itself: that an alarm was disarmed may be known elsewhere first.
        """
        return self._is_over_quota

    def members(self) -> list[rpc_pb2.AlarmMember]:
        """All alarms, by kind and member."""
        raised = set(self._raised)
        if self._node.is_disk_full:
            raised.add(self._own(AlarmKind.NO_SPACE))
        return [
            rpc_pb2.AlarmMember(
                memberID=node_id,
                alarm=rpc_pb2.NOSPACE if kind is AlarmKind.NO_SPACE else rpc_pb2.CORRUPT,
            )
            for kind, node_id in sorted(raised)
        ]

    def names(self) -> list[str]:
        """Of the kinds that are raised."""
        return sorted({rpc_pb2.AlarmType.Name(one.alarm) for one in self.members()}, reverse=True)
