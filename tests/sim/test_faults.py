"""The schedule of faults."""

from dataclasses import replace
from random import Random

import pytest

from raftwerk.sim.cluster import Cluster
from raftwerk.sim.faults import KINDS, Fault, arrange, schedule
from raftwerk.sim.options import FAULT_KINDS, RELEASE_FAULT_KINDS, FaultOptions, Options


def test_every_kind_that_is_drawn_exists() -> None:
    assert {*FAULT_KINDS, *RELEASE_FAULT_KINDS} == set(KINDS)


def test_schedule_has_what_the_options_want_in_order_of_time() -> None:
    options = replace(Options(), faults=FaultOptions({"crash": 3, "rot": 2}))
    faults = schedule(Random(1), options)
    assert sorted(fault.kind for fault in faults) == ["crash"] * 3 + ["rot"] * 2
    assert faults == sorted(faults)
    assert all(0 <= fault.at_ms < options.safety_ms for fault in faults)


@pytest.mark.parametrize("kind", KINDS)
def test_cluster_survives_each_fault_alone(kind: str) -> None:
    """Under all checkers, five times; then everything is mended and a leader is there."""
    cluster = Cluster(3)
    cluster.start_all()
    arrange(cluster, [Fault(300 + 700 * number, kind, number) for number in range(5)])
    cluster.run_ms(12_000)
    cluster.heal()
    cluster.start_all()
    cluster.wait_for_leader()
    assert cluster.coverage.counts[f"fault: {kind}"] == 5
