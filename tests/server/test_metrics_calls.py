"""grpc_server_*, read by Prometheus's own parser."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from raftwerk.api import rpc_pb2, watch_pb2
from raftwerk.http2.call import Method, StreamMethod, UnaryMethod
from raftwerk.server.metrics_calls import CallCollector

assert all((rpc_pb2.DESCRIPTOR, watch_pb2.DESCRIPTOR))  # the kinds of methods are known with them
PUT, WATCH = "/etcdserverpb.KV/Put", "/etcdserverpb.Watch/Watch"
SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"
SERVICES = {PUT: "etcdserverpb.KV", WATCH: "etcdserverpb.Watch"}
KINDS = {PUT: "unary", WATCH: "bidi_stream"}


def make_methods() -> dict[str, Method]:
    return {
        PUT: UnaryMethod(lambda call, data: None),
        WATCH: StreamMethod(lambda call: None),
        SNAPSHOT: StreamMethod(lambda call: None),
    }


def value(methods: dict[str, Method], name: str, path: str, **labels: str) -> float | None:
    """Of the sample of a method; None when there is none."""
    registry = CollectorRegistry()
    registry.register(CallCollector(methods))
    method = path.rpartition("/")[2]
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            wanted = labels | {"grpc_method": method}
            if sample.name == f"grpc_server_{name}" and wanted.items() <= sample.labels.items():
                assert sample.labels["grpc_service"] == SERVICES[path]
                assert sample.labels["grpc_type"] == KINDS[path]
                return sample.value
    return None


def test_our_own_stream_is_of_a_kind_too() -> None:
    path = "/raftwerk.Sessions/Put"
    registry = CollectorRegistry()
    registry.register(CallCollector({path: StreamMethod(lambda call: None)}))
    assert b'grpc_type="server_stream"' in generate_latest(registry)


def test_method_is_there_before_its_first_call() -> None:
    for name in ("started_total", "handled_total", "msg_received_total", "msg_sent_total"):
        assert value(make_methods(), name, WATCH) == 0, name


def test_calls_are_counted_by_status() -> None:
    methods = make_methods()
    tally = methods[PUT].tally
    tally.started = 4
    for status in (0, 0, 8):
        tally.end(status, 0.0)
    assert value(methods, "started_total", PUT) == 4
    assert value(methods, "handled_total", PUT, grpc_code="OK") == 2
    assert value(methods, "handled_total", PUT, grpc_code="ResourceExhausted") == 1
    assert value(methods, "handled_total", PUT, grpc_code="Internal") is None


def test_unary_calls_have_a_message_each_way_that_went_well() -> None:
    methods = make_methods()
    tally = methods[PUT].tally
    tally.started = 3
    tally.end(0, 0.0)
    tally.end(14, 0.0)
    assert value(methods, "msg_received_total", PUT) == 3
    assert value(methods, "msg_sent_total", PUT) == 1


def test_messages_of_streams() -> None:
    methods = make_methods()
    tally = methods[WATCH].tally
    tally.started, tally.received, tally.sent = 1, 20, 30
    assert value(methods, "msg_received_total", WATCH) == 20
    assert value(methods, "msg_sent_total", WATCH) == 30


def test_seconds_are_a_histogram() -> None:
    methods = make_methods()
    methods[PUT].tally.end(0, 0.001)
    methods[PUT].tally.end(0, 2.0)
    assert value(methods, "handling_seconds_count", PUT) == 2
    assert value(methods, "handling_seconds_sum", PUT) == 2.001
    assert value(methods, "handling_seconds_bucket", PUT, le="0.0016") == 1
    assert value(methods, "handling_seconds_bucket", PUT, le="+Inf") == 2


def test_method_that_was_not_called_has_no_histogram() -> None:
    """They would be most of the page."""
    assert value(make_methods(), "handling_seconds_count", PUT) is None
