"""The clients."""

from dataclasses import replace

from raftwerk.sim.cluster import Cluster
from raftwerk.sim.history import Outcome
from raftwerk.sim.options import Options, WorkloadOptions
from raftwerk.sim.workload import Workload


def run(options: WorkloadOptions) -> Workload:
    cluster = Cluster(1, replace(Options(), workload=options))
    cluster.start_all()
    workload = Workload(cluster)
    workload.start()
    cluster.run_ms(5_000)
    workload.stop()
    cluster.run_ms(5_000)
    return workload


def test_clients_do_all_kinds_of_things_and_most_go_through() -> None:
    workload = run(WorkloadOptions())
    operations = workload.history.operations
    assert {one.name for one in operations} >= {"get", "put", "delete", "cas", "txn", "compact"}
    done = [one for one in operations if one.outcome is Outcome.OK]
    assert len(done) > 0.8 * len(operations) > 100
    assert workload.is_idle


def test_commands_are_unique() -> None:
    workload = run(WorkloadOptions(clients=8, pause_mean_us=5_000))
    commands = [one.command for one in workload.history.operations if one.command]
    assert len(set(commands)) == len(commands)


def test_a_burst_calls_at_one_time() -> None:
    workload = run(WorkloadOptions(burst_us=50_000, clients=6))
    assert {one.call_us % 50_000 for one in workload.history.operations} == {0}


def test_padding_is_not_seen() -> None:
    workload = run(WorkloadOptions(value_bytes=500))
    seen = [one.seen for one in workload.history.operations if one.seen]
    values = [value for group in seen for value in group if value is not None]
    assert values
    assert all(len(value) < 20 for value in values)
