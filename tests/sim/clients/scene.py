"""A cluster with one kind of clients at work."""

from dataclasses import replace
from typing import Any

from raftwerk.sim.cluster import Cluster
from raftwerk.sim.options import Options, WorkloadOptions
from raftwerk.sim.workload import Workload


def at_work(duration_ms: int, **workload: Any) -> tuple[Cluster, Workload]:
    """Three nodes, no faults, some clients; after that time they stop."""
    options = replace(Options(), workload=replace(WorkloadOptions(), **workload))
    cluster = Cluster(1, options)
    cluster.start_all()
    cluster.wait_for_leader()
    clients = Workload(cluster)
    clients.start()
    cluster.run_ms(duration_ms)
    clients.stop()
    cluster.run_ms(1_000)
    return cluster, clients
