"""Every method of the API has its name, its path and its messages."""

import pytest

from raftwerk.api import health_pb2, lock_pb2, rpc_pb2, watch_pb2
from raftwerk.conformance.methods import METHODS


@pytest.mark.parametrize(
    ("name", "path", "request_", "response"),
    [
        ("KV.Put", "/etcdserverpb.KV/Put", rpc_pb2.PutRequest, rpc_pb2.PutResponse),
        ("Lock.Lock", "/v3lockpb.Lock/Lock", lock_pb2.LockRequest, lock_pb2.LockResponse),
        (
            "Watch.Watch",
            "/etcdserverpb.Watch/Watch",
            watch_pb2.WatchRequest,
            watch_pb2.WatchResponse,
        ),
        (
            "Health.Check",
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest,
            health_pb2.HealthCheckResponse,
        ),
    ],
)
def test_method_is_known(name: str, path: str, request_: type, response: type) -> None:
    assert METHODS[name] == (path, request_, response)


def test_no_service_is_missing() -> None:
    services = {name.partition(".")[0] for name in METHODS}
    assert services == {
        *("KV", "Watch", "Lease", "Lock", "Election", "Auth", "Cluster", "Maintenance", "Health")
    }
