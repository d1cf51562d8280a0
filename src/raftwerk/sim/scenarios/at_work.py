"""Sessions, leases, locks and watches: at work while nodes crash and part, and the moments on which they hang."""

from raftwerk.kv.commands import (
    Command,
    LeaseExpire,
    LeaseGrant,
    LeaseLead,
    LeaseRenew,
    encode,
)
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage
from raftwerk.sim.workload import Workload

LEASE = 1


def clients_at_work(stage: Stage) -> None:
    """Sessions, leases, locks and watches go through partitions, crashes of all nodes, compactions and snapshots."""
    stage.one_leader()
    workload = Workload(stage.cluster)
    workload.start()
    for number in range(4):
        victim = stage.random.choice(stage.nodes)
        stage.disconnect(victim)
        stage.run_ms(3_000)
        stage.connect(victim)
        stage.run_ms(1_000)
        if number % 2:
            stage.restart(*stage.nodes)
    workload.stop()
    stage.finish()
    for client in workload.watches:
        client.finish()
    stage.cluster.wait(
        lambda: not any(client.lacks() for client in workload.watches), PATIENCE_MS, "all events"
    )
    kv = stage.cluster.kv
    stage.cluster.wait(lambda: kv.leases.is_empty, 2 * PATIENCE_MS, "all leases have ended")


def _do(stage: Stage, command: Command) -> None:
    """Have it committed."""
    answers: list[object] = []
    stage.cluster.nodes[stage.one_leader()].propose(encode(command), answers.append)
    stage.cluster.wait(lambda: bool(answers), PATIENCE_MS, "an answer")


def _number(stage: Stage) -> int:
    """Of the lease's last renewal."""
    lease = stage.cluster.kv.oracle.leases.find(LEASE)
    assert lease is not None
    return lease.number


def deposed_leader_ends_no_lease(stage: Stage) -> None:
    """What a former leader says of the end of a lease comes to nothing: the present one may know of a renewal under way."""
    _do(stage, LeaseLead(3))
    _do(stage, LeaseGrant(LEASE, 1))
    _do(stage, LeaseLead(4))
    stage.run_ms(2_000)
    _do(stage, LeaseExpire(3, ((LEASE, _number(stage)),)))
    assert not stage.cluster.kv.leases.is_empty
    _do(stage, LeaseExpire(4, ((LEASE, _number(stage)),)))
    assert stage.cluster.kv.leases.is_empty


def renewal_meets_the_end(stage: Stage) -> None:
    """The leader's clock says that a lease is over, but a renewal stands before its end in the log: the log decides."""
    _do(stage, LeaseLead(3))
    _do(stage, LeaseGrant(LEASE, 1))
    stage.run_ms(2_000)
    number = _number(stage)
    _do(stage, LeaseRenew(LEASE))
    _do(stage, LeaseExpire(3, ((LEASE, number),)))
    assert not stage.cluster.kv.leases.is_empty


def lease_outlives_its_leaders(stage: Stage) -> None:
    """All nodes are started again every five minutes, and forget what they measured: a long lease ends all the same."""
    _do(stage, LeaseGrant(LEASE, 700))
    for _ in range(3):
        stage.run_ms(320_000)
        stage.restart(*stage.nodes)
        stage.one_leader()
    stage.run_ms(20_000)
    assert stage.cluster.kv.leases.is_empty, "the lease was granted anew with each restart"
