"""Which path of the JSON gateway is which method of the API: etcd's paths, all POST."""

from dataclasses import dataclass
from typing import Final

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from raftwerk.api import auth_rpc_pb2, election_pb2, lease_pb2, lock_pb2, rpc_pb2, watch_pb2

_KV: Final = "etcdserverpb.KV"
_WATCH: Final = "etcdserverpb.Watch"
_LEASE: Final = "etcdserverpb.Lease"
_CLUSTER: Final = "etcdserverpb.Cluster"
_MAINTENANCE: Final = "etcdserverpb.Maintenance"
_AUTH: Final = "etcdserverpb.Auth"
_LOCK: Final = "v3lockpb.Lock"
_ELECTION: Final = "v3electionpb.Election"

_PATHS: Final = {
    "/kv/range": (_KV, "Range"),
    "/kv/put": (_KV, "Put"),
    "/kv/deleterange": (_KV, "DeleteRange"),
    "/kv/txn": (_KV, "Txn"),
    "/kv/compaction": (_KV, "Compact"),
    "/watch": (_WATCH, "Watch"),
    "/lease/grant": (_LEASE, "LeaseGrant"),
    "/lease/revoke": (_LEASE, "LeaseRevoke"),
    "/kv/lease/revoke": (_LEASE, "LeaseRevoke"),
    "/lease/keepalive": (_LEASE, "LeaseKeepAlive"),
    "/lease/timetolive": (_LEASE, "LeaseTimeToLive"),
    "/kv/lease/timetolive": (_LEASE, "LeaseTimeToLive"),
    "/lease/leases": (_LEASE, "LeaseLeases"),
    "/kv/lease/leases": (_LEASE, "LeaseLeases"),
    "/cluster/member/add": (_CLUSTER, "MemberAdd"),
    "/cluster/member/remove": (_CLUSTER, "MemberRemove"),
    "/cluster/member/update": (_CLUSTER, "MemberUpdate"),
    "/cluster/member/list": (_CLUSTER, "MemberList"),
    "/cluster/member/promote": (_CLUSTER, "MemberPromote"),
    "/maintenance/alarm": (_MAINTENANCE, "Alarm"),
    "/maintenance/status": (_MAINTENANCE, "Status"),
    "/maintenance/defragment": (_MAINTENANCE, "Defragment"),
    "/maintenance/hash": (_MAINTENANCE, "Hash"),
    "/maintenance/hashkv": (_MAINTENANCE, "HashKV"),
    "/maintenance/snapshot": (_MAINTENANCE, "Snapshot"),
    "/maintenance/transfer-leadership": (_MAINTENANCE, "MoveLeader"),
    "/maintenance/downgrade": (_MAINTENANCE, "Downgrade"),
    "/auth/enable": (_AUTH, "AuthEnable"),
    "/auth/disable": (_AUTH, "AuthDisable"),
    "/auth/status": (_AUTH, "AuthStatus"),
    "/auth/authenticate": (_AUTH, "Authenticate"),
    "/auth/user/add": (_AUTH, "UserAdd"),
    "/auth/user/get": (_AUTH, "UserGet"),
    "/auth/user/list": (_AUTH, "UserList"),
    "/auth/user/delete": (_AUTH, "UserDelete"),
    "/auth/user/changepw": (_AUTH, "UserChangePassword"),
    "/auth/user/grant": (_AUTH, "UserGrantRole"),
    "/auth/user/revoke": (_AUTH, "UserRevokeRole"),
    "/auth/role/add": (_AUTH, "RoleAdd"),
    "/auth/role/get": (_AUTH, "RoleGet"),
    "/auth/role/list": (_AUTH, "RoleList"),
    "/auth/role/delete": (_AUTH, "RoleDelete"),
    "/auth/role/grant": (_AUTH, "RoleGrantPermission"),
    "/auth/role/revoke": (_AUTH, "RoleRevokePermission"),
    "/lock/lock": (_LOCK, "Lock"),
    "/lock/unlock": (_LOCK, "Unlock"),
    "/election/campaign": (_ELECTION, "Campaign"),
    "/election/proclaim": (_ELECTION, "Proclaim"),
    "/election/leader": (_ELECTION, "Leader"),
    "/election/observe": (_ELECTION, "Observe"),
    "/election/resign": (_ELECTION, "Resign"),
}

_FILES: Final = (auth_rpc_pb2, election_pb2, lease_pb2, lock_pb2, rpc_pb2, watch_pb2)


@dataclass(frozen=True, slots=True)
class Route:
    """method: as gRPC clients call it. takes_many: the client may send one request after another."""

    method: str
    request: type[Message]
    response: type[Message]
    takes_many: bool


def _services() -> dict[str, dict[str, MethodDescriptor]]:
    return {
        service.full_name: dict(service.methods_by_name)
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
    }


def routes() -> dict[str, Route]:
    """By path, without the /v3 or /v3beta before it."""
    services = _services()
    found = {}
    for path, (service, name) in _PATHS.items():
        method = services[service][name]
        found[path] = Route(
            f"/{service}/{name}",
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
            method.client_streaming,
        )
    return found
