"""The play of the key-value scenarios."""

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.history import Operation, Outcome
from raftwerk.sim.options import Options
from raftwerk.sim.scenarios.course_kv import Course, check_history, play
from raftwerk.sim.scenarios.stage import Stage
from raftwerk.sim.workload import Workload


def begun() -> Stage:
    stage = Stage(2, Options())
    stage.begin()
    return stage


def test_clients_work_through_crashes_and_partitions() -> None:
    stage = begun()
    play(stage, Course(partitions=True, crashes=True, rounds=2))
    assert all(node.lives == 3 for node in stage.cluster.nodes.values())
    assert stage.cluster.coverage.counts["network: cut"]


def test_a_history_that_is_not_linearizable_is_noticed() -> None:
    stage = begun()
    workload = Workload(stage.cluster)
    read = Operation(1, 1, "get", 0, 5, return_us=6, outcome=Outcome.OK, seen=(b"never", None))
    workload.history.operations.append(read)
    with pytest.raises(Violation, match="Linearizability"):
        check_history(stage, workload)
