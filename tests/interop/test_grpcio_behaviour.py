"""How calls behave beside their answers: sizes, deadlines, cancellation, many at once, health."""

from collections.abc import Iterator

import grpc
import pytest

from raftwerk.api import health_pb2, rpc_pb2
from raftwerk.api.rpc_pb2 import Compare, PutRequest, RangeRequest, RequestOp, TxnRequest
from raftwerk.cli.cluster import LocalCluster
from raftwerk.conformance.cases.keys import LIMIT
from tests.interop.grpc_client import GrpcClient

Refusal = tuple[grpc.StatusCode, str]
SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture(scope="module")
def clients(cluster: LocalCluster) -> Iterator[list[GrpcClient]]:
    """One for each member."""
    clients = [GrpcClient(f"127.0.0.1:{member.client_port}") for member in cluster.members]
    yield clients
    for client in clients:
        client.close()


def refusal(client: GrpcClient, request: RangeRequest | TxnRequest) -> Refusal:
    stub = client.range if isinstance(request, RangeRequest) else client.txn
    with pytest.raises(grpc.RpcError) as caught:
        stub(request, timeout=10)
    return caught.value.code(), caught.value.details()


INVALID_SORT = (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: invalid sort option")
UNKNOWN_COMPARE = (
    grpc.StatusCode.INVALID_ARGUMENT,
    "etcdserver: unknown compare target or result in txn request",
)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (RangeRequest(key=b"a", sort_order=9), INVALID_SORT),
        (RangeRequest(key=b"a", sort_order=-1), INVALID_SORT),
        (RangeRequest(key=b"a", sort_target=9), INVALID_SORT),
        (
            TxnRequest(success=[RequestOp(request_range=RangeRequest(key=b"a", sort_target=9))]),
            INVALID_SORT,
        ),
        (TxnRequest(compare=[Compare(key=b"a", result=9)]), UNKNOWN_COMPARE),
        (TxnRequest(compare=[Compare(key=b"a", target=9)]), UNKNOWN_COMPARE),
    ],
    ids=["order", "negative_order", "target", "target_in_txn", "result", "compare_target"],
)
def test_unknown_number_of_an_enum_is_refused(
    clients: list[GrpcClient], request_: RangeRequest | TxnRequest, expected: Refusal
) -> None:
    """Releases of etcd differ here: some take it for another number, some end."""
    assert refusal(clients[0], request_) == expected


def test_largest_value_is_read_back_from_every_member(clients: list[GrpcClient]) -> None:
    value = bytes(range(256)) * ((LIMIT - 100) // 256)
    clients[0].put(PutRequest(key=b"large", value=value), timeout=10)
    for client in clients:
        assert client.range(RangeRequest(key=b"large"), timeout=10).kvs[0].value == value


def test_answer_of_many_large_values_arrives_whole(clients: list[GrpcClient]) -> None:
    values = [bytes((number,)) * 1_000_000 for number in range(10)]
    for number, value in enumerate(values):
        clients[0].put(PutRequest(key=b"heavy%d" % number, value=value), timeout=10)
    answer = clients[1].range(RangeRequest(key=b"heavy", range_end=b"heavz"), timeout=10)
    assert [kv.value for kv in answer.kvs] == values


def test_deadline_that_has_passed_is_exceeded(clients: list[GrpcClient]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        clients[0].put(PutRequest(key=b"a", value=b"late"), timeout=0.000_001)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_call_with_a_leader_known_takes_hasleader(clients: list[GrpcClient]) -> None:
    answer = clients[0].put(PutRequest(key=b"a"), metadata=(("hasleader", "true"),), timeout=10)
    assert answer.header.revision


def test_cancelled_call_leaves_the_connection_in_use(clients: list[GrpcClient]) -> None:
    calls = [
        clients[0].range.future(RangeRequest(key=b"heavy", range_end=b"heavz")) for _ in range(20)
    ]
    for call in calls:
        call.cancel()
    assert all(call.cancelled() for call in calls)
    assert clients[0].range(RangeRequest(key=b"a", count_only=True), timeout=10).header.revision


def test_thousand_calls_at_once_are_all_answered(clients: list[GrpcClient]) -> None:
    before = clients[0].range(RangeRequest(key=b"many"), timeout=10).header.revision
    calls = [
        clients[number % 3].put.future(PutRequest(key=b"many", value=b"%d" % number), timeout=60)
        for number in range(1000)
    ]
    revisions = sorted(call.result(timeout=60).header.revision for call in calls)
    assert revisions == list(range(before + 1, before + 1001))
    assert clients[0].range(RangeRequest(key=b"many"), timeout=10).kvs[0].version == 1000


@pytest.mark.parametrize("at", range(3))
def test_health_check_is_serving(clients: list[GrpcClient], at: int) -> None:
    assert clients[at].health_check(health_pb2.HealthCheckRequest(), timeout=10).status == SERVING


def test_health_check_of_an_unknown_service_is_not_found(clients: list[GrpcClient]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        clients[0].health_check(health_pb2.HealthCheckRequest(service="x"), timeout=10)
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.NOT_FOUND,
        "unknown service",
    )


@pytest.mark.parametrize(
    ("service", "expected"), [("", SERVING), ("x", SERVICE_UNKNOWN)], ids=["all", "unknown"]
)
def test_health_watch_tells_the_state_at_once(
    clients: list[GrpcClient], service: str, expected: int
) -> None:
    stream = clients[0].health_watch(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert next(stream).status == expected
    stream.cancel()


def test_empty_request_messages_are_served(clients: list[GrpcClient]) -> None:
    data = clients[0].raw("/etcdserverpb.Maintenance/Status", b"")
    assert rpc_pb2.StatusResponse.FromString(data).version.count(".") == 2


def test_alarm_list_is_empty(clients: list[GrpcClient]) -> None:
    assert not clients[0].alarm(rpc_pb2.AlarmRequest(), timeout=10).alarms
