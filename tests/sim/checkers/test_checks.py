"""The checkers together, where a node reports to them."""

import pytest

from raftwerk.raft.effects import Persist
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntriesReply
from raftwerk.sim.checkers import Violation
from raftwerk.sim.checkers.checks import Checks
from raftwerk.sim.checkers.state_machine_safety import NoChecks
from tests.raft.builder import node
from tests.replica.fakes import ListMachine


def checks() -> Checks:
    return Checks(Membership((1, 2, 3)), ListMachine(), lambda machine, oracle: None, NoChecks())


def test_persists_reach_the_model_and_log_matching() -> None:
    made, built = checks(), node(1, term=3, log="1 3")
    made.on_persist(built.state, Persist(1, 3, 0, entries=built.entries))
    made.durability.on_persisted(1, 1)
    assert made.durability.log_of(1).terms == [1, 3]
    other = built.entries[0]._replace(command=b"another")
    with pytest.raises(Violation, match="Log Matching"):
        made.on_persist(node(2, term=3, log="1 3").state, Persist(1, 3, 0, entries=[other]))


def test_messages_are_judged() -> None:
    with pytest.raises(Violation, match="Durability"):
        checks().on_send(node(1, term=3, log="1").state, 2, AppendEntriesReply(3, False, 0))


def test_a_step_of_a_leader_nobody_voted_for() -> None:
    with pytest.raises(Violation, match="Elected by a majority"):
        checks().on_step(node(1, term=3, log="1", role="leader").state)


def test_what_is_committed_reaches_the_oracle() -> None:
    made, built = checks(), node(1, term=1, log="1", commit=1)
    for node_id in (1, 2):
        made.durability.log_of(node_id).take(Persist(1, 1, 0, entries=built.entries))
    made.on_step(built.state)
    assert made.committed.last_index == 1
    assert made.machines.results == [("done", built.entries[0].command)]
