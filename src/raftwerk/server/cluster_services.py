"""The small services: etcdserverpb.Cluster as far as it is built, and what Maintenance says of a member and its data."""

import asyncio
from collections.abc import Callable
from typing import Final

from raftwerk.api import rpc_pb2, status
from raftwerk.http2.server import Call, Method, UnaryMethod
from raftwerk.kv.results import KvError
from raftwerk.server import translate
from raftwerk.server.calls import Waiting, fail, parse
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node
from raftwerk.server.slices import Slices, Steps, read_in_slices

ETCD_VERSION: Final = "3.5.21"
"""What the API is compatible with. Clients parse it as a semantic version, and choose features by it."""
HASH_SLICE_ROWS: Final = 500
_CHANGES: Final = ("Add", "Remove", "Update", "Promote")
_NO_CHANGES: Final = (
    "raftwerk: the members of a cluster cannot be changed while it runs, not yet; "
    "save a snapshot and restore it to a new cluster"
)


def _refuse(call: Call, _: bytes) -> None:
    call.finish(status.UNIMPLEMENTED, _NO_CHANGES)


class ClusterServices:
    """The handlers, by name."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        slices: Slices,
        alarms: Callable[[], list[rpc_pb2.AlarmMember]],
    ) -> None:
        self._node = node
        self._header = translate.Headers(node).message
        self._slices = slices
        self._alarms = alarms
        self._waiting = Waiting(node, loop)

    def methods(self) -> dict[str, Method]:
        return {
            "/etcdserverpb.Cluster/MemberList": UnaryMethod(self.member_list),
            **{f"/etcdserverpb.Cluster/Member{name}": UnaryMethod(_refuse) for name in _CHANGES},
            "/etcdserverpb.Maintenance/Status": UnaryMethod(self.status),
            "/etcdserverpb.Maintenance/HashKV": UnaryMethod(self.hash_kv),
        }

    def member_list(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.MemberListRequest, data)
        if request is None:
            return

        def answer() -> None:
            members = [
                rpc_pb2.Member(
                    ID=member.node_id,
                    name=member.name,
                    peerURLs=member.peer_urls,
                    clientURLs=member.client_urls,
                    isLearner=member.is_learner,
                )
                for member in self._node.members()
            ]
            header = self._header(0)
            call.reply(
                rpc_pb2.MemberListResponse(header=header, members=members).SerializeToString()
            )

        if request.linearizable:
            self._waiting.read(call, answer)
        else:
            answer()

    def status(self, call: Call, _: bytes) -> None:
        node = self._node.status()
        errors = [] if node.leader_id else [status.NO_LEADER.text]
        errors += [
            f"memberID:{one.memberID} alarm:{rpc_pb2.AlarmType.Name(one.alarm)} "
            for one in self._alarms()
        ]
        response = rpc_pb2.StatusResponse(
            header=self._header(self._node.machine.revision),
            version=ETCD_VERSION,
            dbSize=node.store_bytes,
            dbSizeInUse=node.store_in_use_bytes,
            leader=node.leader_id,
            raftIndex=node.commit_index,
            raftTerm=node.current_term,
            raftAppliedIndex=node.last_applied,
            isLearner=node.is_learner,
            errors=errors,
        )
        call.reply(response.SerializeToString())

    def hash_kv(self, call: Call, data: bytes) -> None:
        request = parse(call, rpc_pb2.HashKVRequest, data)
        if request is None:
            return
        self._slices.answer(call, self._hash_steps(call, request.revision))

    def _hash_steps(self, call: Call, revision: int) -> Steps:
        machine = self._node.machine
        if revision <= 0:
            revision = machine.revision
        compacted = machine.compacted_revision
        total = yield from read_in_slices(
            machine, lambda: machine.hash_sliced(revision), HASH_SLICE_ROWS
        )
        if isinstance(total, KvError):
            fail(call, status_of(total))
            return
        response = rpc_pb2.HashKVResponse(
            header=self._header(self._node.machine.revision),
            hash=total & 0xFFFFFFFF,
            compact_revision=compacted,
            hash_revision=revision,
        )
        call.reply(response.SerializeToString())
