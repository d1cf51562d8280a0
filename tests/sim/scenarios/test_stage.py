"""The verbs of the scenarios."""

import pytest

from raftwerk.sim.checkers import Violation
from raftwerk.sim.mutants.catalogue import BY_NAME
from raftwerk.sim.mutants.mutant import applied
from raftwerk.sim.options import Options
from raftwerk.sim.scenarios.stage import Stage


def begun() -> Stage:
    stage = Stage(1, Options())
    stage.begin()
    return stage


def test_agreement_is_on_as_many_nodes_as_wanted() -> None:
    stage = begun()
    index = stage.agree(nodes=3)
    assert stage.applied_by(index) == [1, 2, 3]
    assert stage.agree(nodes=3) == index + 1


def test_there_is_no_agreement_without_a_majority() -> None:
    stage = begun()
    leader = stage.one_leader()
    stage.disconnect(*stage.others(leader))
    with pytest.raises(AssertionError):
        stage.agree(nodes=1)


def test_disconnected_nodes_do_not_count_as_leaders() -> None:
    stage = begun()
    leader = stage.one_leader()
    stage.disconnect(leader)
    assert stage.leaders() == {}
    assert stage.one_leader() != leader


def test_a_prepared_log_is_there_when_the_node_starts() -> None:
    stage = Stage(1, Options())
    stage.prepare(1, "1 1 2", current_term=4)
    stage.begin()
    assert (stage.terms(1), stage.term(1)) == ("1 1 2", 4)


def test_elected_node_leads() -> None:
    stage = begun()
    stage.agree(nodes=3)
    target = stage.others(stage.one_leader())[0]
    stage.elect(target)
    stage.cluster.wait(lambda: stage.cluster.nodes[target].is_leader, 1_000, "it leads")
    stage.run_ms(100)
    assert stage.one_leader() == target
    assert stage.matches(target, stage.others(target)[0]) >= 1


def test_a_leader_is_made() -> None:
    stage = begun()
    stage.agree(nodes=3)
    target = stage.others(stage.one_leader())[0]
    stage.make_leader(target)
    assert stage.cluster.nodes[target].is_leader


def test_a_read_sees_what_was_committed_before_it() -> None:
    stage = begun()
    stage.agree(nodes=3)
    leader = stage.one_leader()
    answers = stage.read(leader)
    stage.run_ms(100)
    assert answers == [None]
    follower = stage.others(leader)[0]
    stage.cluster.nodes[follower].disk_times.slowdown = 100
    committed = stage.committed
    stage.propose(leader)
    stage.cluster.wait(lambda: stage.committed > committed, 1_000, "one more is committed")
    too_early = applied(BY_NAME["read-before-it-is-applied"])
    stage.read(follower)
    with too_early, pytest.raises(Violation, match="Linearizable reads"):
        stage.run_ms(10)


def test_finish_mends_everything() -> None:
    stage = begun()
    stage.one_leader()
    stage.disconnect(1)
    stage.crash(2)
    stage.finish()
    assert len(stage.cluster.up()) == 3
