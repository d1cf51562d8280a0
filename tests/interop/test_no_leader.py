"""A member that is cut off from the majority says so, and still answers what it can."""

from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pytest

from raftwerk.api import health_pb2
from raftwerk.api.rpc_pb2 import PutRequest, RangeRequest, StatusRequest, TxnRequest
from raftwerk.cli.cluster import Member
from tests.conftest import running_cluster
from tests.interop.grpc_client import GrpcClient
from tests.interop.test_http_as_on_etcd import ask
from tests.interop.watch_talk import Talk

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


class Lonely(NamedTuple):
    """The last member of a cluster of three. states: what its health watch told meanwhile."""

    member: Member
    client: GrpcClient
    states: list[int]


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lonely]:
    with running_cluster(tmp_path_factory.mktemp("lonely"), 3) as cluster:
        member = cluster.members[0]
        client = GrpcClient(f"127.0.0.1:{member.client_port}")
        client.put(PutRequest(key=b"a", value=b"1"), timeout=10)
        stream = client.health_watch(health_pb2.HealthCheckRequest(), timeout=30)
        states = [next(stream).status]
        for other in cluster.members[1:]:
            cluster.kill(other)
        while states[-1] != NOT_SERVING:
            states.append(next(stream).status)
        stream.cancel()
        yield Lonely(member, client, states)
        client.close()


def test_health_watch_tells_each_change_once(lonely: Lonely) -> None:
    assert lonely.states[0] == SERVING
    assert all(
        before != after for before, after in zip(lonely.states, lonely.states[1:], strict=False)
    )


def test_health_check_is_not_serving(lonely: Lonely) -> None:
    assert lonely.client.health_check(health_pb2.HealthCheckRequest()).status == NOT_SERVING


def test_health_page_gives_the_reason(lonely: Lonely) -> None:
    answer = ask(lonely.member, "GET", "/health")
    assert (answer.status, answer.body) == (503, '{"health":"false","reason":"RAFT NO LEADER"}')


def test_health_page_is_well_for_serializable_reads(lonely: Lonely) -> None:
    answer = ask(lonely.member, "GET", "/health?serializable=true")
    assert (answer.status, answer.body) == (200, '{"health":"true","reason":""}')


def test_serializable_read_is_answered(lonely: Lonely) -> None:
    answer = lonely.client.range(RangeRequest(key=b"a", serializable=True), timeout=5)
    assert answer.kvs[0].value == b"1"


def test_status_names_the_error(lonely: Lonely) -> None:
    status = lonely.client.status(StatusRequest(), timeout=5)
    assert (status.leader, list(status.errors)) == (0, ["etcdserver: no leader"])


CALLS = {
    "put": ("put", PutRequest(key=b"a")),
    "range": ("range", RangeRequest(key=b"a")),
    "txn": ("txn", TxnRequest()),
}


@pytest.mark.parametrize("name", CALLS)
def test_call_that_wants_a_leader_fails_at_once(lonely: Lonely, name: str) -> None:
    stub, request = CALLS[name]
    with pytest.raises(grpc.RpcError) as caught:
        getattr(lonely.client, stub)(request, metadata=(("hasleader", "true"),), timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "etcdserver: no leader"


def test_watch_that_wants_a_leader_is_refused(lonely: Lonely) -> None:
    with Talk(lonely.client, hasleader="true") as talk:
        talk.create(b"a")
        assert talk.expect_end() == (grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")


def test_watch_of_history_goes_on(lonely: Lonely) -> None:
    with Talk(lonely.client) as talk:
        talk.create(b"a", start_revision=2)
        created, history = talk.expect(2)
        assert created.created
        assert history.events[0].kv.value == b"1"


@pytest.mark.parametrize("name", CALLS)
def test_call_waits_for_a_leader_until_its_deadline(lonely: Lonely, name: str) -> None:
    stub, request = CALLS[name]
    with pytest.raises(grpc.RpcError) as caught:
        getattr(lonely.client, stub)(request, timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
