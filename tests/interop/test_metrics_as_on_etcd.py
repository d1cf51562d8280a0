"""The metrics that etcd's dashboards and alerts read: all there, with etcd's types and labels, and values that can be."""

import time
import urllib.request
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.grpc_client import GrpcClient

NAMES = (
    *(
        f"etcd_server_{name}"
        for name in ("has_leader", "leader_changes_seen_total", "proposals_failed_total")
    ),
    *(f"etcd_server_proposals_{name}" for name in ("pending", "committed_total", "applied_total")),
    "etcd_server_quota_backend_bytes",
    *(f"etcd_disk_{name}_duration_seconds_count" for name in ("wal_fsync", "backend_commit")),
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_network_peer_round_trip_time_seconds_count",
    "etcd_network_peer_sent_bytes_total",
    "etcd_network_peer_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "etcd_network_client_grpc_received_bytes_total",
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_msg_received_total",
    "grpc_server_msg_sent_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
)
COMMITS = "etcd_disk_backend_commit_duration_seconds_count"
MAY_BE_ZERO = {"etcd_server_proposals_failed_total", "etcd_server_proposals_pending"}


class Series(NamedTuple):
    """Of one name."""

    labels: frozenset[str]
    total: float


def scrape(member: Member) -> dict[str, Series]:
    with urllib.request.urlopen(f"{member.client_url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            before = found.get(sample.name, Series(frozenset(), 0.0))
            labels = before.labels | sample.labels.keys()
            found[sample.name] = Series(labels, before.total + sample.value)
    return found


def test_dashboards_find_what_they_read(cluster: LocalCluster, etcd: Sequence[Member]) -> None:
    pages = []
    for members in (cluster.members, etcd):
        client = GrpcClient(f"127.0.0.1:{members[0].client_port}")
        client.seed()
        client.close()
        deadline = time.monotonic() + 30
        page = scrape(members[0])
        while not (page.keys() >= set(NAMES) and page[COMMITS].total):
            assert time.monotonic() < deadline, set(NAMES) - page.keys()
            page = scrape(members[0])
        pages.append(page)
    on_raftwerk, on_etcd = pages
    for name in NAMES:
        assert on_raftwerk[name].labels == on_etcd[name].labels, name
        assert on_raftwerk[name].total > 0 or name in MAY_BE_ZERO, name
