"""Clients that watch: at their own pace, over crashes and compactions."""

from tests.sim.clients.scene import at_work


def test_every_watch_gets_everything() -> None:
    cluster, workload = at_work(10_000, clients=3, watches=3, compact=2)
    counts = cluster.coverage.counts
    for mark in ("events from synced", "events from history", "parked", "progress", "resumed"):
        assert counts[f"watch: {mark}"], mark
    for client in workload.watches:
        client.finish()
    cluster.wait(lambda: not any(client.lacks() for client in workload.watches), 2_000, "events")


def test_a_watch_goes_on_at_another_node() -> None:
    cluster, workload = at_work(2_000, clients=3, watches=2)
    before = cluster.coverage.counts["watch: resumed"]
    for node_id in cluster.nodes:
        cluster.crash(node_id)
    cluster.start_all()
    cluster.run_ms(2_000)
    assert cluster.coverage.counts["watch: resumed"] > before
    for client in workload.watches:
        client.finish()
        assert client.is_stopping
