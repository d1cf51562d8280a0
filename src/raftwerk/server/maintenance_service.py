"""etcdserverpb.Maintenance: Alarm, Hash, Snapshot, Defragment, MoveLeader, Downgrade."""

import asyncio
import re
from functools import partial
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv.commands import AlarmKind, AlarmSet, encode
from raftwerk.kv.results import AlarmResult, KvError
from raftwerk.server import translate
from raftwerk.server.alarms import Alarms
from raftwerk.server.calls import Waiting, fail, fail_with, parse
from raftwerk.server.cluster_services import ETCD_VERSION, HASH_SLICE_ROWS
from raftwerk.server.errors import status_of
from raftwerk.server.maintenance_snapshot import Snapshots
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices, Steps, read_in_slices, remove_in_slices

_KINDS: Final = {rpc_pb2.NOSPACE: AlarmKind.NO_SPACE, rpc_pb2.CORRUPT: AlarmKind.CORRUPT}
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\.\d+)?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
NO_TRANSFER: Final = "raftwerk: leadership cannot be moved, not yet: stop the leader, and another member leads in a moment"
NO_DOWNGRADES: Final = (
    "raftwerk: its data have one format: there is nothing to downgrade, VALIDATE only tells"
)


class MaintenanceService:
    """The handlers, by name."""

    def __init__(
        self, node: Node, loop: asyncio.AbstractEventLoop, slices: Slices, alarms: Alarms
    ) -> None:
        self._node = node
        self._loop = loop
        self._header = translate.Headers(node).message
        self._slices = slices
        self._alarms = alarms
        self._waiting = Waiting(node, loop)
        self._snapshots = Snapshots(node, loop)

    def methods(self) -> dict[str, Method]:
        return {
            "/etcdserverpb.Maintenance/Alarm": UnaryMethod(self.alarm),
            "/etcdserverpb.Maintenance/Hash": UnaryMethod(self.hash),
            "/etcdserverpb.Maintenance/Snapshot": StreamMethod(self._snapshots.open),
            "/etcdserverpb.Maintenance/Defragment": UnaryMethod(self.defragment),
            "/etcdserverpb.Maintenance/MoveLeader": UnaryMethod(self.move_leader),
            "/etcdserverpb.Maintenance/Downgrade": UnaryMethod(self.downgrade),
        }

    # Alarms

    def alarm(self, call: Call, data: bytes) -> None:
        """All alarms, or one that is raised or ended. NONE is no alarm: raising it does nothing."""
        request = parse(call, rpc_pb2.AlarmRequest, data)
        if request is None:
            return
        if request.action == rpc_pb2.AlarmRequest.GET:
            self._waiting.read(call, lambda: self._list_alarms(call, request.alarm))
            return
        kind = _KINDS.get(request.alarm)
        if kind is None:
            self._reply_alarms(call, self._node.machine.revision, [])
            return
        is_raised = request.action == rpc_pb2.AlarmRequest.ACTIVATE
        member = rpc_pb2.AlarmMember(memberID=request.memberID, alarm=request.alarm)
        command = encode(AlarmSet(kind, request.memberID, is_raised))
        self._waiting.propose(call, command, partial(self._answer_alarm, member))

    def _answer_alarm(self, member: rpc_pb2.AlarmMember, call: Call, result: object) -> None:
        if isinstance(result, AlarmResult):
            self._reply_alarms(call, result.revision, [member] if result.is_known else [])
        else:
            fail_with(call, result)

    def _list_alarms(self, call: Call, kind: rpc_pb2.AlarmType.ValueType) -> None:
        alarms = [one for one in self._alarms.members() if kind in (rpc_pb2.NONE, one.alarm)]
        self._reply_alarms(call, self._node.machine.revision, alarms)

    def _reply_alarms(self, call: Call, revision: int, alarms: list[rpc_pb2.AlarmMember]) -> None:
        response = rpc_pb2.AlarmResponse(header=self._header(revision), alarms=alarms)
        call.reply(response.SerializeToString())

    # What the member holds

    def hash(self, call: Call, data: bytes) -> None:
        """The hash of all versions that there are now: HashKV's, since our store has no other content that members share."""
        if parse(call, rpc_pb2.HashRequest, data) is not None:
            self._slices.answer(call, self._hash_steps(call))

    def _hash_steps(self, call: Call) -> Steps:
        machine = self._node.machine
        total = yield from read_in_slices(machine, lambda: machine.hash_sliced(0), HASH_SLICE_ROWS)
        if isinstance(total, KvError):
            fail(call, status_of(total))
            return
        header = self._header(machine.revision)
        response = rpc_pb2.HashResponse(header=header, hash=total & 0xFFFFFFFF)
        call.reply(response.SerializeToString())

    def defragment(self, call: Call, data: bytes) -> None:
        """Nothing stops: the store gives freed pages to the next writes by itself. Answered when what was compacted is free.

        What etcd's users do about a store over its quota is to compact, to defragment and to disarm: it must be smaller by then.
        """
        if parse(call, rpc_pb2.DefragmentRequest, data) is not None:
            self._slices.answer(call, self._defragment_steps(call))

    def _defragment_steps(self, call: Call) -> Steps:
        yield from remove_in_slices(self._node)
        self._node.when_checkpointed(partial(self._defragmented, call))

    def _defragmented(self, call: Call) -> None:
        self._alarms.look()
        if not call.is_over:
            call.reply(rpc_pb2.DefragmentResponse().SerializeToString())

    # The cluster

    def move_leader(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.MoveLeaderRequest, data)
        if request is None:
            return
        node = self._node
        others = {member.node_id for member in node.members() if not member.is_learner}
        if node.status().leader_id != node.node_id:
            fail(call, status.NOT_LEADER)
        elif request.targetID not in others:
            fail(call, status.BAD_TRANSFEREE)
        elif request.targetID == node.node_id:
            response = rpc_pb2.MoveLeaderResponse(header=self._header(node.machine.revision))
            call.reply(response.SerializeToString())
        else:
            call.finish(status.UNIMPLEMENTED, NO_TRANSFER)

    def downgrade(self, call: Call, data: bytes) -> None:
        """VALIDATE: whether etcd could go from the version that we are compatible with to another."""
        request = parse(call, rpc_pb2.DowngradeRequest, data)
        if request is None:
            return
        actions = rpc_pb2.DowngradeRequest
        if request.action == actions.CANCEL:
            fail(call, status.NO_DOWNGRADE)
        elif request.action not in (actions.VALIDATE, actions.ENABLE):
            fail(call, status.UNKNOWN_METHOD)
        else:
            self._waiting.read(call, lambda: self._answer_downgrade(call, request))

    def _answer_downgrade(self, call: Call, request: rpc_pb2.DowngradeRequest) -> None:
        major, minor = (int(part) for part in ETCD_VERSION.split(".")[:2])
        wanted = _VERSION.fullmatch(request.version)
        if wanted is None:
            fail(call, status.WRONG_DOWNGRADE_VERSION)
        elif (int(wanted[1]), int(wanted[2])) != (major, minor - 1):
            fail(call, status.INVALID_DOWNGRADE_VERSION)
        elif request.action == rpc_pb2.DowngradeRequest.ENABLE:
            call.finish(status.UNIMPLEMENTED, NO_DOWNGRADES)
        else:
            response = rpc_pb2.DowngradeResponse(
                header=self._header(self._node.machine.revision), version=f"{major}.{minor}.0"
            )
            call.reply(response.SerializeToString())
