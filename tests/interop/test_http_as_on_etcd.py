"""The pages on the client port: what etcd has there looks the same."""

import http.client
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from raftwerk.cli.cluster import LocalCluster, Member


class Answer(NamedTuple):
    status: int
    content_type: str | None
    body: str


def ask(member: Member, method: str, path: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
        return Answer(answer.status, answer.getheader("Content-Type"), body)
    finally:
        connection.close()


WANTED = {
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_leader_changes_seen",
    "etcd_server_proposals_failed",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_quota_backend_bytes",
    "etcd_disk_wal_fsync_duration_seconds",
    "etcd_disk_backend_commit_duration_seconds",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_network_peer_sent_bytes",
    "etcd_network_peer_received_bytes",
    "etcd_network_client_grpc_sent_bytes",
    "etcd_network_client_grpc_received_bytes",
}


@pytest.mark.parametrize("name", sorted(WANTED))
def test_metric_has_etcds_name_type_and_labels(
    cluster: LocalCluster, etcd: Sequence[Member], name: str
) -> None:
    found = []
    for members in (cluster.members, etcd):
        answer = ask(members[0], "GET", "/metrics")
        families = {family.name: family for family in text_string_to_metric_families(answer.body)}
        family = families[name]
        samples = {(sample.name, *sorted(sample.labels)) for sample in family.samples}
        found.append((family.type, samples))
    assert found[0] == found[1]


def test_metrics_are_prometheus_text(cluster: LocalCluster) -> None:
    answer = ask(cluster.members[0], "GET", "/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body.endswith("\n")
