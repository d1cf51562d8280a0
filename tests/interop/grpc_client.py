"""A client of the API on grpcio, which shares no code with the server but the generated messages."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from raftwerk.api import auth_rpc_pb2, health_pb2, rpc_pb2

Stub = Callable[..., Any]


class GrpcClient:
    """Stubs by the API's names, on a channel of its own."""

    def __init__(self, address: str) -> None:
        """address: host:port."""
        self.channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", -1),
            ],
        )
        self.range = self._stub("/etcdserverpb.KV/Range", rpc_pb2.RangeResponse)
        self.put = self._stub("/etcdserverpb.KV/Put", rpc_pb2.PutResponse)
        self.delete_range = self._stub("/etcdserverpb.KV/DeleteRange", rpc_pb2.DeleteRangeResponse)
        self.txn = self._stub("/etcdserverpb.KV/Txn", rpc_pb2.TxnResponse)
        self.compact = self._stub("/etcdserverpb.KV/Compact", rpc_pb2.CompactionResponse)
        self.member_list = self._stub(
            "/etcdserverpb.Cluster/MemberList", rpc_pb2.MemberListResponse
        )
        self.status = self._stub("/etcdserverpb.Maintenance/Status", rpc_pb2.StatusResponse)
        self.hash_kv = self._stub("/etcdserverpb.Maintenance/HashKV", rpc_pb2.HashKVResponse)
        self.alarm = self._stub("/etcdserverpb.Maintenance/Alarm", rpc_pb2.AlarmResponse)
        auth = auth_rpc_pb2
        self.user_list = self._stub("/etcdserverpb.Auth/UserList", auth.AuthUserListResponse)
        self.user_delete = self._stub("/etcdserverpb.Auth/UserDelete", auth.AuthUserDeleteResponse)
        self.role_list = self._stub("/etcdserverpb.Auth/RoleList", auth.AuthRoleListResponse)
        self.role_delete = self._stub("/etcdserverpb.Auth/RoleDelete", auth.AuthRoleDeleteResponse)
        self.health_check = self._stub(
            "/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse
        )
        self.health_watch = self.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def _stub(self, path: str, response: type[Any]) -> Stub:
        return self.channel.unary_unary(
            path,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def raw(self, path: str, data: bytes, **options: Any) -> bytes:
        """Call any path with any bytes."""
        return bytes(self.channel.unary_unary(path)(data, timeout=10, **options))

    def seed(self) -> None:
        """Some keys with different revisions, versions and values."""
        for key, value in (
            (b"a", b"1"),
            (b"b", b"2"),
            (b"c", b"3"),
            (b"ab", b"4"),
            (b"b", b"5"),
            (b"d", b""),
        ):
            self.put(rpc_pb2.PutRequest(key=key, value=value))

    def close(self) -> None:
        self.channel.close()


def start_alike(clients: Sequence[GrpcClient]) -> int:
    """Put several clusters into the same state: no key, and one revision, which is returned."""
    filler = rpc_pb2.PutRequest(key=b"filler")
    revisions = [client.put(filler).header.revision for client in clients]
    for client, revision in zip(clients, revisions, strict=True):
        for _ in range(max(revisions) - revision):
            client.put(filler)
    everything = rpc_pb2.DeleteRangeRequest(key=b"\0", range_end=b"\0")
    [revision] = {client.delete_range(everything).header.revision for client in clients}
    return int(revision)
