"""/metrics: the node's counters in the format that scrapers read, under the names that etcd's dashboards use."""

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from raftwerk import __version__
from raftwerk.durations import Durations, cumulative
from raftwerk.http2.call import Method
from raftwerk.server.metrics_calls import CallCollector
from raftwerk.server.port import Node

PIECE_SAMPLES: Final = 200
"""Written in one turn of the loop: about two milliseconds."""
HEAD_LINES: Final = 2
"""Before the samples of a metric: what it is."""


class Watches(Protocol):
    """What is said of watches (server.watch_service.WatchService)."""

    @property
    def stream_count(self) -> int: ...

    @property
    def watcher_count(self) -> int: ...

    @property
    def slow_watcher_count(self) -> int:
        """Of those, that do not have everything yet."""


class Traffic:
    """What went through the client port, and who listens there."""

    def __init__(self, watches: Watches | None = None) -> None:
        self.watches = watches
        self.received_bytes = 0
        self.sent_bytes = 0
        self.connections = 0


class NodeCollector(Collector):
    """Reads the counters when a scraper asks."""

    def __init__(self, node: Node, traffic: Traffic) -> None:
        self._node = node
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        yield from self._of_consensus()
        yield from self._of_storage()
        yield from self._of_network()

    def _of_consensus(self) -> Iterator[Metric]:
        node, status = self._node, self._node.status()
        yield _gauge("etcd_server_has_leader", "Whether a leader is known", int(node.has_leader))
        is_leader = int(status.leader_id == status.node_id)
        yield _gauge("etcd_server_is_leader", "Whether this member leads", is_leader)
        changes = node.metrics.leader_changes_seen_total
        yield _counter("etcd_server_leader_changes_seen", "Changes of leader seen", changes)
        name = "etcd_server_proposals_committed_total"  # etcd says gauge, in spite of the name
        yield _gauge(name, "Commit index", status.commit_index)
        name = "etcd_server_proposals_applied_total"
        yield _gauge(name, "Last index applied", status.last_applied)
        yield _gauge("etcd_server_proposals_pending", "Proposals waiting", node.waiting_proposals)
        failed = node.failed_proposals_total
        yield _counter("etcd_server_proposals_failed", "Proposals that failed", failed)
        yield _gauge("raftwerk_raft_term", "Current term", status.current_term)
        compacted = status.snapshot_index
        yield _gauge("raftwerk_raft_snapshot_index", "Entries up to here are compacted", compacted)
        yield _gauge("raftwerk_raft_last_index", "Last index of the log", status.last_index)
        info = GaugeMetricFamily("raftwerk_build_info", "Version", labels=["version"])
        info.add_metric([__version__], 1)
        yield info

    def _of_storage(self) -> Iterator[Metric]:
        node, status = self._node, self._node.status()
        sync = node.metrics.wal_sync
        yield _histogram("etcd_disk_wal_fsync_duration_seconds", "Write and sync of the log", sync)
        commit = node.metrics.backend_commit
        name = "etcd_disk_backend_commit_duration_seconds"
        yield _histogram(name, "Commit of a checkpoint of the store", commit)
        lag = node.metrics.loop_lag
        yield _histogram("raftwerk_loop_lag_seconds", "How late the event loop's timer came", lag)
        text = "How much of that was no waiting for a core, as far as the kernel tells that"
        yield _histogram("raftwerk_loop_lag_own_seconds", text, node.metrics.loop_lag_own)
        quota = node.settings.quota_backend_bytes
        yield _gauge("etcd_server_quota_backend_bytes", "Size limit of the store", quota)
        name = "etcd_mvcc_db_total_size_in_bytes"
        yield _gauge(name, "Size of the store on disk", status.store_bytes)
        name = "etcd_mvcc_db_total_size_in_use_in_bytes"
        yield _gauge(name, "Of that, in use", status.store_in_use_bytes)
        revision = node.machine.revision
        yield _gauge("etcd_debugging_mvcc_current_revision", "Revision of the store", revision)

    def _of_network(self) -> Iterator[Metric]:
        traffic = self._traffic
        name = "etcd_network_client_grpc_received_bytes"
        yield _counter(name, "Bytes from gRPC clients", traffic.received_bytes)
        name = "etcd_network_client_grpc_sent_bytes"
        yield _counter(name, "Bytes to gRPC clients", traffic.sent_bytes)
        yield _gauge("raftwerk_client_connections", "Open gRPC connections", traffic.connections)
        watches = traffic.watches
        if watches is not None:
            name = (
                "etcd_debugging_mvcc_watch_stream_total"  # gauges, in spite of the names, as etcd's
            )
            yield _gauge(name, "Open watch streams", watches.stream_count)
            name = "etcd_debugging_mvcc_watcher_total"
            yield _gauge(name, "Watchers", watches.watcher_count)
            name = "etcd_debugging_mvcc_slow_watcher_total"
            yield _gauge(name, "Watchers that are behind", watches.slow_watcher_count)
        sent = CounterMetricFamily("etcd_network_peer_sent_bytes", "Bytes to peers", labels=["To"])
        received = CounterMetricFamily(
            "etcd_network_peer_received_bytes", "Bytes from peers", labels=["From"]
        )
        for peer, (out, into) in sorted(self._node.peer_traffic().items()):
            sent.add_metric([f"{peer:x}"], out)
            received.add_metric([f"{peer:x}"], into)
        yield sent
        yield received
        failures = CounterMetricFamily(
            "etcd_network_peer_sent_failures", "Messages that could not be sent", labels=["To"]
        )
        for peer, count in sorted(self._node.dropped_messages().items()):
            failures.add_metric([f"{peer:x}"], count)
        yield failures
        trips = HistogramMetricFamily(
            "etcd_network_peer_round_trip_time_seconds",
            "Round trips to peers, as the kernel measures them",
            labels=["To"],
        )
        for peer, durations in sorted(self._node.peer_round_trips().items()):
            trips.add_metric([f"{peer:x}"], cumulative(durations), durations.sum_s)
        yield trips


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _histogram(name: str, text: str, durations: Durations) -> Metric:
    buckets = cumulative(durations)
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=durations.sum_s)


class _Part(Collector):
    """Some samples of one metric."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


class MetricsPage:
    """The text of /metrics."""

    def __init__(self, node: Node, traffic: Traffic, methods: Mapping[str, Method]) -> None:
        """methods: of the client port, by path."""
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(node, traffic))
        self._registry.register(CallCollector(methods))
        ProcessCollector(registry=self._registry)

    def pieces(self) -> Iterator[bytes]:
        """What it is now; the page is made of them all."""
        texts: list[bytes] = []
        count = 0
        for family in self._registry.collect():
            for start in range(0, len(family.samples), PIECE_SAMPLES):
                part = copy(family)
                part.samples = family.samples[start : start + PIECE_SAMPLES]
                text = generate_latest(_Part(part))
                texts.append(text.split(b"\n", HEAD_LINES)[HEAD_LINES] if start else text)
                count += len(part.samples)
                if count >= PIECE_SAMPLES:
                    yield b"".join(texts)
                    texts, count = [], 0
        yield b"".join(texts)
