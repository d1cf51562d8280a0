"""Configurations in the log: in force from the moment when their entry is there, and no longer (thesis 4.1)."""

from raftwerk.raft.membership import Membership
from raftwerk.raft.types import EntryKind
from raftwerk.sim.scenarios.stage import PATIENCE_MS, Stage

CHANGED = Membership((1, 2), learners=(3,))


def configuration_in_force_on_append(stage: Stage) -> None:
    """A leader that has a new configuration gives it to the others: they use it before it is committed."""
    leader = stage.one_leader()
    stage.agree(nodes=3)
    victim, other = stage.others(leader)
    stage.disconnect(victim)
    stage.agree(nodes=2)
    stage.append(leader, EntryKind.MEMBERSHIP, CHANGED.encode())
    stage.cluster.wait(lambda: stage.membership(other) == CHANGED, PATIENCE_MS, "it is in force")
    stage.connect(victim)
    stage.cluster.wait(lambda: stage.membership(victim) == CHANGED, PATIENCE_MS, "it is in force")


def configuration_rolled_back(stage: Stage) -> None:
    """A leader appends a configuration that nobody else gets; the next leader's log replaces it, and all is as before."""
    leader = stage.one_leader()
    stage.agree(nodes=3)
    before = stage.membership(leader)
    stage.disconnect(leader)
    stage.append(leader, EntryKind.MEMBERSHIP, CHANGED.encode())
    assert stage.membership(leader) == CHANGED
    stage.agree(nodes=2)
    stage.connect(leader)
    stage.agree(nodes=3)
    assert stage.membership(leader) == before


def learners_do_not_count(stage: Stage) -> None:
    """Three voters and two learners: the leader and both learners commit nothing, though they are most of the nodes (4.2.1)."""
    stage.agree(nodes=5)
    leader = stage.one_leader()
    committed = stage.committed
    stage.disconnect(*[node_id for node_id in (1, 2, 3) if node_id != leader])
    proposal = stage.propose(leader)
    stage.run_timeouts(4)
    assert not proposal.is_done
    assert stage.committed == committed
