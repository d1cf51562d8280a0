"""What is committed."""

import pytest

from raftwerk.raft.effects import Persist
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Snapshot
from raftwerk.sim.checkers import Violation, is_quorum
from raftwerk.sim.checkers.committed import Committed
from raftwerk.sim.checkers.durability import Durability
from tests.raft.builder import entries, node


def on_disks(**logs: str) -> Durability:
    """Logs by node ("n1"), as the terms of their entries."""
    durability = Durability()
    for name, terms in logs.items():
        persist = Persist(1, 9, 0, entries=entries(terms))
        durability.log_of(int(name[1:])).take(persist)
    return durability


def committed(durability: Durability) -> Committed:
    return Committed(Membership((1, 2, 3)), durability)


def test_entries_on_a_majority_of_disks_are_committed_once() -> None:
    checker = committed(on_disks(n1="1 1", n2="1 1"))
    state = node(1, term=1, log="1 1", commit=2).state
    assert [entry.index for entry in checker.on_commit(state)] == [1, 2]
    assert checker.on_commit(state) == []


def test_an_entry_on_too_few_disks() -> None:
    with pytest.raises(Violation, match=r"on the disks of \[1\]"):
        committed(on_disks(n1="1")).on_commit(node(1, term=1, log="1", commit=1).state)


def test_another_entry_at_a_committed_index() -> None:
    checker = committed(on_disks(n1="1", n2="1"))
    checker.on_commit(node(1, term=1, log="1", commit=1).state)
    with pytest.raises(Violation, match="State Machine Safety"):
        checker.on_commit(node(2, term=2, log="2", commit=1).state)


def test_a_leader_without_a_committed_entry() -> None:
    checker = committed(on_disks(n1="1 1", n2="1 1"))
    checker.on_commit(node(1, term=1, log="1 1", commit=2).state)
    with pytest.raises(Violation, match="Leader Completeness"):
        checker.on_leader(node(3, term=2, log="1").state)
    checker.on_leader(node(2, term=2, log="1 1").state)


def test_a_leader_that_was_elected_late_needs_only_what_was_committed_in_older_terms() -> None:
    """An old entry may be committed in term 4 while the last vote of term 3 is still under way."""
    checker = committed(on_disks(n1="1 2 4", n2="1 2 4"))
    checker.on_commit(node(1, term=4, log="1 2 4", commit=3).state)
    checker.on_leader(node(3, term=3, log="1").state)
    with pytest.raises(Violation, match="Leader Completeness"):
        checker.on_leader(node(3, term=5, log="1").state)


def test_a_leader_that_believes_too_much_of_a_follower() -> None:
    checker = committed(on_disks(n1="3", n2=""))
    lead = node(1, term=3, log="3", role="leader", acks={2: 1})
    with pytest.raises(Violation, match="believes that node 2 holds 1"):
        checker.on_step_of_leader(lead.state, lead.leader)


@pytest.mark.parametrize(
    ("nodes", "is_enough"), [({1, 2, 4}, False), ({1, 2, 4, 5}, True), ({2, 3}, True)]
)
def test_joint_configurations_need_both_majorities(nodes: set[int], is_enough: bool) -> None:
    membership = Membership((1, 2, 3), outgoing=(2, 3, 4) if nodes == {2, 3} else (3, 4, 5))
    assert is_quorum(membership, nodes) == is_enough


def test_a_committed_entry_that_a_node_takes_from_its_log() -> None:
    """Judged when it is decided: a disk that stalls, or a node that stops, hides nothing."""
    durability = on_disks(n1="1 1", n2="1 1")
    checker = committed(durability)
    checker.on_commit(node(1, term=1, log="1 1", commit=1).state)
    durability.on_persist(2, Persist(2, 2, 0, truncate_from=2, entries=entries("2", first=2)))
    with pytest.raises(Violation, match="node 2 removed"):
        durability.on_persist(2, Persist(3, 2, 0, truncate_from=1, entries=entries("2")))


@pytest.mark.parametrize(
    "removing",
    [Persist(2, 2, 0, truncate_from=1), Persist(2, 2, 0, reset_to=Snapshot(0, 0, b""))],
    ids=["truncated", "reset"],
)
def test_a_disk_that_is_about_to_lose_an_entry_does_not_count(removing: Persist) -> None:
    durability = on_disks(n1="1", n2="1")
    checker = committed(durability)
    durability.on_persist(2, removing)
    with pytest.raises(Violation, match=r"on the disks of \[1\]"):
        checker.on_commit(node(1, term=1, log="1", commit=1).state)


@pytest.mark.parametrize("step_ends_in", [2, 3])
def test_an_older_leader_may_have_an_entry_taken_away_until_a_node_knows_the_term_in_which_it_was_committed(
    step_ends_in: int,
) -> None:
    """Seeds 79005014 and 79002759: the leader of term 2 lacked it, that of term 3 had it, and committed it with others. What
    the older one asked a learner for came later, in 79002759 in one step with the new term."""
    durability = on_disks(n1="1 3", n2="1 3")
    durability.on_persist(3, Persist(1, 1, 0, entries=entries("1")))
    checker = committed(durability)
    checker.on_commit(node(1, term=3, log="1 3", commit=2).state)
    late = Persist(2, step_ends_in, 0, truncate_from=1, entries=entries("2"))
    durability.on_persist(3, late)
    assert durability.holders(1, 1) == {1, 2}


def test_who_knows_the_term_of_a_commitment_takes_nothing_of_it_away() -> None:
    durability = on_disks(n1="1 3", n2="1 3")
    durability.on_persist(3, Persist(1, 1, 0, entries=entries("1")))
    durability.on_persist(3, Persist(2, 3, 0))
    checker = committed(durability)
    checker.on_commit(node(1, term=3, log="1 3", commit=2).state)
    with pytest.raises(Violation, match=r"node 3 removed the committed \(1, 1\)"):
        durability.on_persist(3, Persist(3, 3, 0, truncate_from=1, entries=entries("2")))


def test_a_slow_disk_may_lose_what_was_committed_after_it_was_told_to() -> None:
    """Seed 72003276: the leader of term 3 put back what one of term 2 had taken away, and did not wait for this disk."""
    durability = on_disks(n1="1", n2="1", n3="1")
    checker = committed(durability)
    durability.on_persist(3, Persist(2, 2, 0, truncate_from=1, entries=entries("2")))
    durability.on_persist(3, Persist(3, 3, 0, truncate_from=1, entries=entries("1 3")))
    checker.on_commit(node(1, term=3, log="1 3", commit=1).state)
    durability.on_persisted(3, 2)
    assert durability.holders(1, 1) == {1, 2}
    durability.on_persisted(3, 3)
    assert durability.holders(1, 1) == {1, 2, 3}
