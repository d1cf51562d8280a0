"""Locks and elections, beside etcd: the services by grpcio, and etcdctl's own, which are made of keys, leases and watches."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence

import grpc
import pytest

from raftwerk.api.election_pb2 import (
    CampaignRequest,
    LeaderRequest,
)
from raftwerk.api.lease_pb2 import LeaseRevokeRequest, LeaseTimeToLiveRequest
from raftwerk.api.lock_pb2 import LockRequest, UnlockRequest
from raftwerk.api.rpc_pb2 import RangeRequest
from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS, Etcdctl
from tests.interop.grpc_client import GrpcClient, start_alike
from tests.interop.leases import ask, grant, revoke_all, start
from tests.waiting import until

Pair = list[GrpcClient]
A, B, C = 0x77, -3, 0x79
EVERYTHING = RangeRequest(key=b"\0", range_end=b"\0")
MISSED = "mutex: session is expired"


@pytest.fixture(scope="module")
def clients(cluster: LocalCluster, etcd: Sequence[Member]) -> Iterator[Pair]:
    """grpcio on a member of raftwerk that may not lead, and of etcd."""
    pair = [
        GrpcClient(f"127.0.0.1:{members[1].client_port}") for members in (cluster.members, etcd)
    ]
    yield pair
    for client in pair:
        client.close()


@pytest.fixture(autouse=True)
def leases(clients: Pair) -> int:
    """Three on both, and nothing else. Returns the revision."""
    for client in clients:
        revoke_all(client)
    first = start_alike(clients)
    for client in clients:
        for lease_id in (A, B, C):
            grant(client, lease_id)
    return first


# The services

NAME = b"n"


def test_second_call_of_a_lease_gets_the_same_key(clients: Pair) -> None:
    """The revisions differ: raftwerk writes the key again (see server/contest.py)."""
    for client in clients:
        keys = {ask(client, LockRequest(name=NAME, lease=A)).key for _ in range(3)}
        assert keys == {b"n/77"}
        calls = [CampaignRequest(name=b"e", lease=A, value=value) for value in (b"1", b"1", b"2")]
        places = {(one.key, one.rev) for one in (ask(client, call).leader for call in calls)}
        assert len(places) == 1
        assert ask(client, LeaderRequest(name=b"e")).kv.value == b"2"


def test_lock_without_a_lease_gets_one_of_a_minute(clients: Pair) -> None:
    for client in clients:
        key = ask(client, LockRequest(name=NAME)).key
        answer = ask(client, LeaseTimeToLiveRequest(ID=int(key.split(b"/")[1], 16), keys=True))
        assert (answer.grantedTTL, list(answer.keys)) == (60, [key])


@pytest.mark.parametrize("way", ["cancelled", "deadline"])
def test_lock_call_that_is_given_up_leaves_no_key(clients: Pair, way: str) -> None:
    for client in clients:
        ask(client, LockRequest(name=NAME, lease=A))
        call = start(client, LockRequest(name=NAME, lease=B), 1 if way == "deadline" else 20)
        until(lambda client=client: ask(client, EVERYTHING).count >= 2)  # type: ignore[misc]
        if way == "cancelled":
            call.cancel()
        until(lambda client=client: ask(client, EVERYTHING).count <= 1)  # type: ignore[misc]
        until(call.done)
        third = start(client, LockRequest(name=NAME, lease=C))
        ask(client, UnlockRequest(key=b"n/77"))
        assert third.result().key == b"n/79"


def test_lock_is_not_given_to_who_has_lost_its_lease(clients: Pair) -> None:
    """etcd says so when it would be its turn, raftwerk at once: in the same words."""
    for client in clients:
        ask(client, LockRequest(name=NAME, lease=A))
        call = start(client, LockRequest(name=NAME, lease=B))
        until(lambda client=client: ask(client, EVERYTHING).count >= 2)  # type: ignore[misc]
        ask(client, LeaseRevokeRequest(ID=B))
        if client is clients[1]:
            ask(client, UnlockRequest(key=b"n/77"))
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.UNKNOWN,
            MISSED,
        )


# etcdctl's own


@pytest.fixture(params=ETCDCTLS)
def etcdctl(request: pytest.FixtureRequest, cluster: LocalCluster) -> Iterator[Etcdctl]:
    with Etcdctl(request.param, cluster.members) as one:
        yield one


def test_etcdctl_runs_a_command_under_a_lock(etcdctl: Etcdctl) -> None:
    done = etcdctl.run(f"@ lock mine {shutil.which('printenv')} ETCD_LOCK_KEY")
    assert done.code == 0
    assert done.stdout.startswith("mine/")
    assert ask(etcdctl.clients[0], EVERYTHING).count == 0, "it is given back"


def test_etcdctl_waits_for_a_lock_that_the_service_gave(etcdctl: Etcdctl) -> None:
    """And the other way round: both follow the same recipe."""
    client = etcdctl.clients[0]
    key = ask(client, LockRequest(name=b"mine", lease=A)).key
    process = subprocess.Popen(
        etcdctl.arguments("lock mine echo mine"), stdout=subprocess.PIPE, text=True
    )
    try:
        until(lambda client=client: ask(client, EVERYTHING).count >= 2)  # type: ignore[misc]
        call = start(client, LockRequest(name=b"mine", lease=B))
        until(lambda client=client: ask(client, EVERYTHING).count >= 3)  # type: ignore[misc]
        assert process.poll() is None
        assert not call.done()
        ask(client, UnlockRequest(key=key))
        assert process.communicate(timeout=20)[0] == "mine\n"
        assert call.result().key == b"mine/-3"
    finally:
        process.kill()
        process.wait()


def test_etcdctl_elects_and_listens(etcdctl: Etcdctl) -> None:
    listener = subprocess.Popen(
        etcdctl.arguments("elect --listen e", at=2), stdout=subprocess.PIPE, text=True
    )
    candidate = subprocess.Popen(
        etcdctl.arguments("elect e me", at=1), stdout=subprocess.PIPE, text=True
    )
    try:
        for process in (candidate, listener):
            assert process.stdout is not None
            key, value = (process.stdout.readline() for _ in range(2))
            assert key.startswith("e/")
            assert value == "me\n"
        answer = ask(etcdctl.clients[0], LeaderRequest(name=b"e"))
        assert answer.kv.value == b"me"
    finally:
        for process in (candidate, listener):
            process.terminate()
            process.communicate(timeout=20)
