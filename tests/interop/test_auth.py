"""Auth by grpcio on real processes: tokens everywhere, after changes of leader and crashes; signed tokens."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from raftwerk.api import auth_pb2, auth_rpc_pb2, lease_pb2, rpc_pb2, watch_pb2
from raftwerk.cli.cluster import LocalCluster, Member
from tests.conftest import StartCluster

AUTH = "/etcdserverpb.Auth/"


class Client:
    """At one member, with a token or none."""

    def __init__(self, member: Member, token: str = "") -> None:
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{member.client_port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.token = token

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("token", self.token)] if self.token else []

    def ask(self, path: str, request: Any, response: Any) -> Any:
        call = self.channel.unary_unary(path, response_deserializer=response.FromString)
        return call(
            request.SerializeToString(), timeout=10, metadata=self.metadata, wait_for_ready=True
        )

    def auth(self, name: str, /, **fields: Any) -> Any:
        request = getattr(auth_rpc_pb2, f"Auth{name.removeprefix('Auth')}Request")
        response = getattr(auth_rpc_pb2, f"Auth{name.removeprefix('Auth')}Response")
        return self.ask(AUTH + name, request(**fields), response)

    def log_in(self, name: str, password: str) -> None:
        request = auth_rpc_pb2.AuthenticateRequest(name=name, password=password)
        answer = self.ask(AUTH + "Authenticate", request, auth_rpc_pb2.AuthenticateResponse)
        self.token = answer.token

    def put(self, key: bytes, **fields: Any) -> Any:
        request = rpc_pb2.PutRequest(key=key, **fields)
        return self.ask("/etcdserverpb.KV/Put", request, rpc_pb2.PutResponse)

    def get(self, key: bytes, **fields: Any) -> Any:
        request = rpc_pb2.RangeRequest(key=key, **fields)
        return self.ask("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)

    def close(self) -> None:
        self.channel.close()


def refusal(ask: Any, *args: Any, **fields: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(*args, **fields)
    return caught.value.code(), caught.value.details()  # type: ignore[attr-defined]


INVALID = (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied")
EMPTY = (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty")
OLD = (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: revision of auth store is old")


def enable(client: Client) -> None:
    """Users root and u; u may read and write from a up to c."""
    for name in ("root", "u"):
        client.auth("UserAdd", name=name, password=f"{name}pw")
    client.auth("UserGrantRole", user="root", role="root")
    client.auth("RoleAdd", name="r")
    permission = auth_pb2.Permission(
        permType=auth_pb2.Permission.READWRITE, key=b"a", range_end=b"c"
    )
    client.auth("RoleGrantPermission", name="r", perm=permission)
    client.auth("UserGrantRole", user="u", role="r")
    client.auth("AuthEnable")


def at_each(cluster: LocalCluster, token: str = "") -> list[Client]:
    return [Client(member, token) for member in cluster.members]


@pytest.fixture
def three(start_cluster: StartCluster) -> Iterator[tuple[LocalCluster, list[Client]]]:
    """A cluster with auth enabled, and a client of user u at each member."""
    cluster = start_cluster(3)
    clients = at_each(cluster)
    enable(clients[0])
    clients[0].log_in("u", "upw")
    for client in clients:
        client.token = clients[0].token
    yield cluster, clients
    for client in clients:
        client.close()


def test_token_works_at_every_member_at_once(three: tuple[LocalCluster, list[Client]]) -> None:
    """Reads, local ones too, writes and watches."""
    _, clients = three
    for client in clients[1:]:
        client.log_in("u", "upw")
        token = client.token
        for other in clients:
            other.token = token
            assert other.get(b"a", serializable=True).header.revision
            assert other.put(b"a").header.revision
            assert other.get(b"a").count == 1
            assert refusal(other.get, b"c") == DENIED
            assert refusal(other.get, b"a", range_end=b"\0", serializable=True) == DENIED


def test_token_works_after_a_change_of_leader(three: tuple[LocalCluster, list[Client]]) -> None:
    cluster, clients = three
    leader = cluster.wait_leader()
    others = [
        client
        for client, member in zip(clients, cluster.members, strict=True)
        if member is not leader
    ]
    cluster.kill(leader)
    cluster.wait_leader()
    for client in others:
        answers_after_a_while(client)
        assert refusal(client.put, b"c") == DENIED
        client.token = "no.1"
        assert refusal(client.put, b"a") == INVALID


def answers_after_a_while(client: Client) -> None:
    """Writes are refused as long as there is no leader."""
    for _ in range(100):
        try:
            client.put(b"a")
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:  # type: ignore[attr-defined]
                raise
        else:
            return
    raise AssertionError("no leader")


def test_auth_survives_a_crash_of_all(three: tuple[LocalCluster, list[Client]]) -> None:
    cluster, clients = three
    for member in cluster.members:
        cluster.kill(member)
    cluster.start_all()
    cluster.wait_ready()
    clients[0].token = ""
    assert refusal(clients[0].put, b"a") == EMPTY
    clients[0].log_in("u", "upw")
    assert clients[0].put(b"a").header.revision
    assert refusal(clients[0].put, b"c") == DENIED
    assert clients[0].auth("UserGet", name="u").roles == ["r"]


def test_token_ends_with_the_password(three: tuple[LocalCluster, list[Client]]) -> None:
    _, clients = three
    root = clients[0]
    root.log_in("root", "rootpw")
    root.auth("UserChangePassword", name="u", password="other")
    assert refusal(clients[1].get, b"a") == INVALID
    assert refusal(clients[2].log_in, "u", "upw")[1] == (
        "etcdserver: authentication failed, invalid user ID or password"
    )
    clients[2].log_in("u", "other")
    assert clients[2].get(b"a").count == 0


def test_what_a_lease_ends_is_protected(three: tuple[LocalCluster, list[Client]]) -> None:
    """Its keys are neither told to who may not read them, nor ended by who may not write them."""
    _, clients = three
    user, root = clients[1], clients[0]
    root.log_in("root", "rootpw")
    user.ask("/etcdserverpb.Lease/LeaseGrant", lease_pb2.LeaseGrantRequest(ID=7, TTL=100), LEASE)
    user.put(b"a", lease=7)
    root.put(b"z", lease=7)
    assert refusal(user.put, b"b", lease=7) == DENIED
    revoke = lease_pb2.LeaseRevokeRequest(ID=7)
    assert refusal(user.ask, "/etcdserverpb.Lease/LeaseRevoke", revoke, LEASE) == DENIED
    keys = lease_pb2.LeaseTimeToLiveRequest(ID=7, keys=True)
    assert refusal(user.ask, "/etcdserverpb.Lease/LeaseTimeToLive", keys, LEASE) == DENIED


LEASE = lease_pb2.LeaseGrantResponse


def test_watch_asks_who_watches(three: tuple[LocalCluster, list[Client]]) -> None:
    _, clients = three
    requests = [
        watch_pb2.WatchRequest(create_request=watch_pb2.WatchCreateRequest(key=key, range_end=end))
        for key, end in ((b"a", b""), (b"z", b""), (b"a", b"\0"))
    ]
    for token, reasons in (
        (clients[0].token, ["", *["permission denied"] * 2]),
        ("", EMPTY_REASONS),
    ):
        clients[1].token = clients[0].token
        clients[1].get(b"a")  # linearizable: this member knows by now that auth is enabled
        clients[1].token = token
        call = clients[1].channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=watch_pb2.WatchRequest.SerializeToString,
            response_deserializer=watch_pb2.WatchResponse.FromString,
        )
        answers = call(iter(requests), metadata=clients[1].metadata, timeout=10)
        told = [next(answers) for _ in requests]
        answers.cancel()
        assert [one.cancel_reason.rpartition("etcdserver: ")[2] for one in told] == reasons
        assert [one.watch_id == -1 for one in told] == [bool(reason) for reason in reasons]


EMPTY_REASONS: Sequence[str] = ["user name is empty"] * 3


def test_signed_token_works_at_every_member_and_ends_with_a_change(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    """Those of an earlier auth revision are refused as old; administrators go on, as with etcd."""
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    flag = f"--auth-token=jwt,priv-key={tmp_path}/key.pem,sign-method=ES256,ttl=10m"
    cluster = start_cluster(3, flag)
    clients = at_each(cluster)
    enable(clients[0])
    clients[0].log_in("u", "upw")
    for client in clients:
        client.token = clients[0].token
        assert client.put(b"a").header.revision
        assert refusal(client.put, b"c") == DENIED
    clients[1].log_in("root", "rootpw")
    clients[1].auth("RoleAdd", name="s")
    clients[1].auth("RoleAdd", name="t")
    assert refusal(clients[0].put, b"a") == OLD
    assert refusal(clients[2].get, b"a") == OLD
    clients[2].token += "x"
    assert refusal(clients[2].get, b"a") == INVALID
    for client in clients:
        client.close()
