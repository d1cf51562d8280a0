"""Clients with leases: they renew, revoke and let go, and get locks."""

from tests.sim.clients.scene import at_work


def test_leases_are_used_in_every_way_and_all_end() -> None:
    cluster, _ = at_work(30_000, clients=0, leases=3)
    counts = cluster.coverage.counts
    for mark in ("lease: renewed", "lease: revoked", "lease: expired", "lock: held"):
        assert counts[mark], mark
    cluster.wait(lambda: cluster.kv.leases.is_empty, 10_000, "all leases have ended")
