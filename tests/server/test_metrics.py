"""/metrics holds the node's counters, in a form that Prometheus's own parser reads."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from raftwerk.durations import DURATION_BOUNDS_S
from raftwerk.http2.call import Method, UnaryMethod
from raftwerk.server.metrics import PIECE_SAMPLES, MetricsPage, Traffic
from raftwerk.server.metrics_calls import CallCollector
from tests.server.fakes import NODE_ID, TERM, FakeLoop, FakeNode

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(node: FakeNode, traffic: Traffic | None = None) -> Samples:
    text = b"".join(MetricsPage(node, traffic or Traffic(), {}).pieces()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("etcd_server_has_leader", 1),
        ("etcd_server_is_leader", 1),
        ("etcd_server_leader_changes_seen_total", 1),
        ("etcd_server_proposals_committed_total", 11),
        ("etcd_server_proposals_applied_total", 10),
        ("etcd_server_proposals_pending", 3),
        ("etcd_server_proposals_failed_total", 4),
        ("etcd_server_quota_backend_bytes", 2 * 1024**3),
        ("etcd_mvcc_db_total_size_in_bytes", 8192),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", 4096),
        ("etcd_debugging_mvcc_current_revision", 1),
        ("etcd_network_client_grpc_received_bytes_total", 30),
        ("etcd_network_client_grpc_sent_bytes_total", 40),
        ("raftwerk_client_connections", 2),
        ("raftwerk_raft_term", TERM),
        ("raftwerk_raft_last_index", 12),
        ("raftwerk_raft_snapshot_index", 5),
    ],
)
def test_metric_has_the_nodes_value(name: str, value: float) -> None:
    node = FakeNode(FakeLoop())
    node.waiting_proposals = 3
    node.failed_proposals_total = 4
    node.metrics.on_notice("became leader")
    traffic = Traffic()
    traffic.received_bytes, traffic.sent_bytes, traffic.connections = 30, 40, 2
    assert scrape(node, traffic)[name, ()] == value


def test_node_without_leader_has_none() -> None:
    node = FakeNode(FakeLoop())
    node.has_leader = False
    samples = scrape(node)
    assert samples["etcd_server_has_leader", ()] == 0
    assert samples["etcd_server_is_leader", ()] == 0


def test_peer_traffic_is_labelled_with_the_peer() -> None:
    samples = scrape(FakeNode(FakeLoop()))
    peer = f"{NODE_ID + 1:x}"
    assert samples["etcd_network_peer_sent_bytes_total", (("To", peer),)] == 100
    assert samples["etcd_network_peer_received_bytes_total", (("From", peer),)] == 200


def test_histogram_is_cumulative_and_ends_with_all() -> None:
    node = FakeNode(FakeLoop())
    durations_s = (DURATION_BOUNDS_S[0], DURATION_BOUNDS_S[2], 1000.0)
    for duration_s in durations_s:
        node.metrics.observe_wal_sync_s(duration_s)
    samples = scrape(node)
    name = "etcd_disk_wal_fsync_duration_seconds"
    buckets = [value for (sample, _), value in samples.items() if sample == f"{name}_bucket"]
    assert buckets == [1, 1] + [2] * (len(DURATION_BOUNDS_S) - 2) + [3]
    assert samples[f"{name}_count", ()] == 3
    assert samples[f"{name}_sum", ()] == pytest.approx(sum(durations_s))


def test_peers_are_labels_of_what_was_not_sent() -> None:
    samples = scrape(FakeNode(FakeLoop()))
    name = "etcd_network_peer_sent_failures_total"
    assert samples[name, (("To", f"{NODE_ID + 1:x}"),)] == 7


def test_commits_of_the_store_are_a_histogram() -> None:
    node = FakeNode(FakeLoop())
    node.metrics.observe_commit_s(0.003)
    assert scrape(node)["etcd_disk_backend_commit_duration_seconds_count", ()] == 1


def test_lag_of_the_loop_is_a_histogram() -> None:
    node = FakeNode(FakeLoop())
    node.metrics.observe_loop_lag_s(0.003, 0.002)
    found = scrape(node)
    assert found["raftwerk_loop_lag_seconds_sum", ()] == 0.003
    assert found["raftwerk_loop_lag_own_seconds_sum", ()] == 0.002


class FewWatches:
    """Implements server.metrics.Watches."""

    stream_count = 2
    watcher_count = 5
    slow_watcher_count = 1


def test_watches_are_counted_as_etcd_names_them() -> None:
    samples = scrape(FakeNode(FakeLoop()), Traffic(FewWatches()))
    counts = [
        samples[f"etcd_debugging_mvcc_{name}_total", ()]
        for name in ("watch_stream", "watcher", "slow_watcher")
    ]
    assert counts == [2, 5, 1]


def test_round_trips_are_a_histogram_by_peer() -> None:
    samples = scrape(FakeNode(FakeLoop()))
    name = "etcd_network_peer_round_trip_time_seconds"
    assert samples[f"{name}_count", (("To", f"{NODE_ID + 1:x}"),)] == 1
    assert samples[f"{name}_sum", (("To", f"{NODE_ID + 1:x}"),)] == 0.25


def test_the_process_is_measured_too() -> None:
    assert scrape(FakeNode(FakeLoop()))["process_resident_memory_bytes", ()] > 1e6


def test_page_is_written_in_pieces() -> None:
    """However many methods are called: together they are what is written at once."""
    methods: dict[str, Method] = {
        f"/etcdserverpb.KV/Method{number}": UnaryMethod(lambda call, data: None)
        for number in range(100)
    }
    for method in methods.values():
        method.tally.started += 1
        method.tally.end(0, 0.001)
    pieces = list(MetricsPage(FakeNode(FakeLoop()), Traffic(), methods).pieces())
    registry = CollectorRegistry()
    registry.register(CallCollector(methods))
    assert generate_latest(registry) in b"".join(pieces)
    lines = [len(piece.splitlines()) for piece in pieces]
    assert sum(lines) > 10 * PIECE_SAMPLES
    assert max(lines) < 3 * PIECE_SAMPLES
