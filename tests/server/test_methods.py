"""What is found at a path, and what is said of what is not there."""

import pytest

from raftwerk.http2.server import UnaryMethod
from raftwerk.server.methods import MethodTable

PUT = UnaryMethod(lambda call, data: None)
CHECK = UnaryMethod(lambda call, data: None)
TABLE = MethodTable({"/etcdserverpb.KV/Put": PUT}, {"/grpc.health.v1.Health/Check": CHECK})


@pytest.mark.parametrize(
    ("path", "method"),
    [("/etcdserverpb.KV/Put", PUT), ("/grpc.health.v1.Health/Check", CHECK)],
)
def test_method_of_each_group_is_found(path: str, method: UnaryMethod) -> None:
    assert TABLE.find(path) is method


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etcdserverpb.KV/Putt", "unknown method Putt for service etcdserverpb.KV"),
        ("/etcdserverpb.KV/", "unknown method  for service etcdserverpb.KV"),
        ("/etcdserverpb.Cave/Put", "unknown service etcdserverpb.Cave"),
        ("/a/b/c", "unknown service a/b"),
        ("/put", 'malformed method name: "/put"'),
        ("/", 'malformed method name: "/"'),
        ("*", 'malformed method name: "*"'),
    ],
)
def test_unknown_path_is_refused_in_grpc_gos_words(path: str, text: str) -> None:
    assert TABLE.find(path) == text
