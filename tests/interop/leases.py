"""Leases, locks and elections by grpcio."""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from raftwerk.api import election_pb2, lease_pb2, lock_pb2, rpc_pb2
from tests.interop.grpc_client import GrpcClient

LEASE = "/etcdserverpb.Lease/"
_RESPONSES: dict[type[Message], tuple[str, type[Message]]] = {
    lease_pb2.LeaseGrantRequest: (LEASE + "LeaseGrant", lease_pb2.LeaseGrantResponse),
    lease_pb2.LeaseRevokeRequest: (LEASE + "LeaseRevoke", lease_pb2.LeaseRevokeResponse),
    lease_pb2.LeaseTimeToLiveRequest: (
        LEASE + "LeaseTimeToLive",
        lease_pb2.LeaseTimeToLiveResponse,
    ),
    lease_pb2.LeaseLeasesRequest: (LEASE + "LeaseLeases", lease_pb2.LeaseLeasesResponse),
    lock_pb2.LockRequest: ("/v3lockpb.Lock/Lock", lock_pb2.LockResponse),
    lock_pb2.UnlockRequest: ("/v3lockpb.Lock/Unlock", lock_pb2.UnlockResponse),
    election_pb2.CampaignRequest: (
        "/v3electionpb.Election/Campaign",
        election_pb2.CampaignResponse,
    ),
    election_pb2.ProclaimRequest: (
        "/v3electionpb.Election/Proclaim",
        election_pb2.ProclaimResponse,
    ),
    election_pb2.LeaderRequest: ("/v3electionpb.Election/Leader", election_pb2.LeaderResponse),
    election_pb2.ResignRequest: ("/v3electionpb.Election/Resign", election_pb2.ResignResponse),
    rpc_pb2.PutRequest: ("/etcdserverpb.KV/Put", rpc_pb2.PutResponse),
    rpc_pb2.RangeRequest: ("/etcdserverpb.KV/Range", rpc_pb2.RangeResponse),
    rpc_pb2.DeleteRangeRequest: ("/etcdserverpb.KV/DeleteRange", rpc_pb2.DeleteRangeResponse),
    rpc_pb2.TxnRequest: ("/etcdserverpb.KV/Txn", rpc_pb2.TxnResponse),
}


def ask(client: GrpcClient, request: Message, timeout_s: float = 10) -> Any:
    """The response. Raises grpc.RpcError."""
    path, response = _RESPONSES[type(request)]
    call = client.channel.unary_unary(path, response_deserializer=response.FromString)
    return call(request.SerializeToString(), timeout=timeout_s)


def start(client: GrpcClient, request: Message, timeout_s: float = 20) -> Any:
    """A call under way: result(), cancel(), done()."""
    path, response = _RESPONSES[type(request)]
    call = client.channel.unary_unary(path, response_deserializer=response.FromString)
    return call.future(request.SerializeToString(), timeout=timeout_s)


def answer_of(client: GrpcClient, request: Message, timeout_s: float = 10) -> object:
    """The response without what belongs to the cluster, as text; or code and text of the refusal."""
    try:
        response = ask(client, request, timeout_s)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return normal(response)


def normal(response: Any) -> str:
    """As text, without what cannot be the same on two clusters."""
    header = response.header
    assert header.cluster_id
    assert header.member_id
    assert header.raft_term
    header.cluster_id = header.member_id = header.raft_term = 0
    return str(response)


def grant(client: GrpcClient, lease_id: int, ttl_s: int = 60) -> None:
    ask(client, lease_pb2.LeaseGrantRequest(ID=lease_id, TTL=ttl_s))


def revoke_all(client: GrpcClient) -> None:
    """No lease is left. (One may end by itself meanwhile.)"""
    for lease in ask(client, lease_pb2.LeaseLeasesRequest()).leases:
        answer_of(client, lease_pb2.LeaseRevokeRequest(ID=lease.ID))
    assert not ask(client, lease_pb2.LeaseLeasesRequest()).leases


def keep_alive(
    client: GrpcClient, lease_ids: Iterable[int], timeout_s: float = 10
) -> Sequence[Any]:
    """The answers to one stream of renewals, which ends."""
    call = client.channel.stream_stream(
        LEASE + "LeaseKeepAlive",
        request_serializer=lambda lease_id: lease_pb2.LeaseKeepAliveRequest(
            ID=lease_id
        ).SerializeToString(),
        response_deserializer=lease_pb2.LeaseKeepAliveResponse.FromString,
    )
    return list(call(iter(lease_ids), timeout=timeout_s))
