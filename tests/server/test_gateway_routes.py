"""The paths of the gateway."""

from raftwerk.api import lease_pb2, rpc_pb2, watch_pb2
from raftwerk.server.gateway_routes import routes


def test_path_names_its_method_and_messages() -> None:
    route = routes()["/kv/range"]
    assert (route.method, route.takes_many) == ("/etcdserverpb.KV/Range", False)
    assert (route.request, route.response) == (rpc_pb2.RangeRequest, rpc_pb2.RangeResponse)


def test_old_paths_of_leases_mean_the_same() -> None:
    found = routes()
    for name in ("revoke", "timetolive", "leases"):
        assert found[f"/lease/{name}"] == found[f"/kv/lease/{name}"]


def test_watch_and_keepalive_take_many_requests() -> None:
    many = {path: route for path, route in routes().items() if route.takes_many}
    assert many.keys() == {"/watch", "/lease/keepalive"}
    assert many["/watch"].request is watch_pb2.WatchRequest
    assert many["/lease/keepalive"].request is lease_pb2.LeaseKeepAliveRequest


def test_every_method_of_the_api_has_a_path() -> None:
    """But for those of the health service, which has pages of its own."""
    methods = {
        f"/{service.full_name}/{method.name}"
        for file in (rpc_pb2, lease_pb2, watch_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert methods <= {route.method for route in routes().values()}
