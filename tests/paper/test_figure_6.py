"""Figure 6: five logs, of which the leader's entries up to 7 are committed."""

from tests.raft.builder import node

LEADER = "1 1 1 2 3 3 3 3"
FOLLOWERS = {2: "1 1 1 2 3", 3: LEADER, 4: "1 1", 5: "1 1 1 2 3 3 3"}


def test_entry_is_committed_once_it_is_on_a_majority() -> None:
    """F2.LEA.4: entry 7 is on three of five logs, entry 8 on two."""
    acks = {peer: len(log.split()) for peer, log in FOLLOWERS.items()}
    leader = node(1, term=3, log=LEADER, role="leader", voters=(1, 2, 3, 4, 5), acks=acks)
    assert leader.state.commit_index == 7


def test_commitment_covers_entries_of_earlier_leaders() -> None:
    """F2.LEA.4: with an entry of the own term, all before it are committed too."""
    leader = node(1, term=3, log=LEADER, role="leader", voters=(1, 2, 3, 4, 5))
    leader.ack(3, 8)
    effects = leader.ack(5, 7)
    assert [entry.index for entry in effects.committed] == [1, 2, 3, 4, 5, 6, 7]
