"""What a gRPC client gets from raftwerk is what it gets from etcd: whole responses, codes and texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest

from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.grpc_client import GrpcClient, start_alike
from tests.interop.requests import EVERYTHING, Request, requests

Pair = tuple[list[GrpcClient], list[GrpcClient]]


def clients_of(members: Sequence[Member]) -> list[GrpcClient]:
    return [GrpcClient(f"127.0.0.1:{member.client_port}") for member in members]


@pytest.fixture(scope="module")
def both(cluster: LocalCluster, etcd: Sequence[Member]) -> Iterator[Pair]:
    """Clients of raftwerk's members, and of etcd's."""
    pair = clients_of(cluster.members), clients_of(etcd)
    yield pair
    for client in (*pair[0], *pair[1]):
        client.close()


def send(client: GrpcClient, request: Request) -> Any:
    """The response without what differs between clusters, or (code, text)."""
    stub = {
        "RangeRequest": client.range,
        "PutRequest": client.put,
        "DeleteRangeRequest": client.delete_range,
        "TxnRequest": client.txn,
        "CompactionRequest": client.compact,
    }[type(request).__name__]
    try:
        response = stub(request, timeout=10)
    except grpc.RpcError as error:
        return error.code(), error.details()
    for field in ("cluster_id", "member_id", "raft_term"):
        assert getattr(response.header, field), f"the header has no {field}"
        response.header.ClearField(field)
    return response


@pytest.mark.parametrize("name", requests(0))
def test_answer_is_the_same(both: Pair, name: str) -> None:
    """And so is what the stores hold after it."""
    at = list(requests(0)).index(name) % 3
    clients = [members[at] for members in both]
    request = requests(start_alike(clients))[name]
    for client in clients:
        client.seed()
    on_raftwerk, on_etcd = ([send(client, request), send(client, EVERYTHING)] for client in clients)
    assert on_raftwerk == on_etcd


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/etcdserverpb.KV/Nonsense", b""),
        ("/etcdserverpb.Nonsense/Put", b""),
        ("/a/b/c", b""),
        ("/etcdserverpb.KV/Put", b""),
        ("/grpc.health.v1.Health/Nonsense", b""),
    ],
    ids=["method", "service", "deep", "empty_request", "health_method"],
)
def test_bad_call_is_refused_alike(both: Pair, path: str, data: bytes) -> None:
    on_raftwerk, on_etcd = (refusal(clients[0], path, data) for clients in both)
    assert on_raftwerk == on_etcd


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05ab"], ids=["garbage", "cut"])
def test_unreadable_request_is_refused_alike(both: Pair, data: bytes) -> None:
    """But for what the parser says of it."""
    on_raftwerk, on_etcd = (refusal(clients[0], "/etcdserverpb.KV/Put", data) for clients in both)
    assert on_raftwerk[0] == on_etcd[0] == grpc.StatusCode.INTERNAL
    prefix = "grpc: error unmarshalling request: "
    assert on_raftwerk[1].startswith(prefix)
    assert on_etcd[1].startswith(prefix)


def refusal(client: GrpcClient, path: str, data: bytes) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        client.raw(path, data)
    return caught.value.code(), caught.value.details()
