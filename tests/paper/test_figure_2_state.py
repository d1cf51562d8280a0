"""Figure 2, the box "State": what is on stable storage before a response, and what a new leader starts from."""

from raftwerk.raft.events import Persisted
from raftwerk.raft.messages import (
    AppendEntriesReply,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from tests.raft.builder import append_entries, node, only, receivers, sent
from tests.raft.cluster import Cluster


def test_vote_leaves_only_after_term_and_vote_are_durable() -> None:
    """F2.STA.1a: a vote that a crash could undo is not given."""
    voter = node(1, term=2, log="1 2", slow_disk=True)
    effects = voter.receive(3, RequestVote(5, 3, 2, 2))
    assert not effects.messages
    assert effects.persist is not None
    assert (effects.persist.current_term, effects.persist.voted_for) == (5, 3)
    assert only(voter.persist(), RequestVoteReply, to=3) == RequestVoteReply(5, True)


def test_refusal_of_a_new_term_waits_for_the_term() -> None:
    """F2.STA.1a: no message at all speaks of a term that a crash could make the node forget."""
    voter = node(1, term=2, log="1 2 2", slow_disk=True)
    effects = voter.receive(3, RequestVote(5, 3, 1, 1))
    assert not effects.messages
    assert only(voter.persist(), RequestVoteReply, to=3) == RequestVoteReply(5, False)


def test_candidate_asks_for_votes_after_its_own_vote_is_durable() -> None:
    """F2.STA.1a: the request for votes is of the new term too."""
    candidate = node(1, term=2, role="pre-candidate", slow_disk=True)
    effects = candidate.receive(2, PreVoteReply(2, 3, True))
    assert candidate.role == "Candidate"
    assert not effects.messages
    assert receivers(candidate.persist(), RequestVote) == [2, 3]


def test_one_vote_in_a_term_survives_a_crash() -> None:
    """F2.STA.1a: a node whose write of its vote was lost has told nobody of it, and may vote again."""
    cluster = Cluster(3)
    cluster.slow_disks = {3}
    cluster.campaign(1)
    cluster.deliver_one(1, 3)
    cluster.crash(3)
    cluster.restart(3)
    cluster.slow_disks = set()
    cluster.campaign(2)
    cluster.deliver(2, 3)
    assert cluster.leaders == {1: 2}
    cluster.deliver()
    assert cluster.leaders == {1: 2}


def test_success_leaves_only_after_the_entries_are_durable() -> None:
    """F2.STA.1b: an entry that a crash could take back is not acknowledged."""
    follower = node(1, term=3, log="1 1", leader=2, slow_disk=True)
    effects = follower.receive(2, append_entries(3, 2, prev=(2, 1), new="3 3"))
    assert not sent(effects, AppendEntriesReply)
    reply = only(follower.persist(), AppendEntriesReply, to=2)
    assert (reply.success, reply.match_index) == (True, 4)


def test_heartbeat_reply_vouches_for_durable_entries_alone() -> None:
    """F2.STA.1b: a heartbeat is answered at once, with as much of the match as is durable."""
    follower = node(1, term=3, log="1 1", leader=2, slow_disk=True)
    follower.receive(2, append_entries(3, 2, prev=(2, 1), new="3 3"))
    effects = follower.receive(2, append_entries(3, 2, prev=(4, 3)))
    reply = only(effects, AppendEntriesReply, to=2)
    assert (reply.success, reply.match_index) == (True, 2)


def test_entries_sent_twice_are_not_vouched_for_before_they_are_durable() -> None:
    """F2.STA.1b: that the entry is in the log already does not make it durable."""
    follower = node(1, term=3, log="1 1", leader=2, slow_disk=True)
    rpc = append_entries(3, 2, prev=(2, 1), new="3 3")
    follower.receive(2, rpc)
    reply = only(follower.receive(2, rpc), AppendEntriesReply, to=2)
    assert reply.match_index == 2


def test_leader_counts_itself_only_for_durable_entries() -> None:
    """F2.STA.1c: the leader's copy is one of the majority once it is on the leader's disk."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader", slow_disk=True)
    leader.propose(b"x")
    leader.ack(2, 3)
    assert leader.state.commit_index == 2
    leader.persist()
    assert leader.state.commit_index == 3


def test_single_node_commits_when_its_disk_says_so() -> None:
    """F2.STA.1c: alone, the disk is the whole majority."""
    leader = node(1, term=1, log="1", commit=1, role="leader", voters=(1,), slow_disk=True)
    effects = leader.propose(b"x")
    assert not effects.committed
    assert [entry.command for entry in leader.persist().committed] == [b"x"]


def test_own_vote_counts_once_it_is_durable() -> None:
    """F2.STA.1d: with one vote of three from elsewhere, the own vote decides, and it is not durable yet."""
    candidate = node(1, term=1, role="pre-candidate", slow_disk=True)
    candidate.receive(2, PreVoteReply(1, 2, True))
    candidate.receive(2, RequestVoteReply(2, True))
    assert candidate.role == "Candidate"
    candidate.persist()
    assert candidate.role == "Leader"


def test_own_vote_is_not_counted_for_an_older_write() -> None:
    """F2.STA.1d: the disk finishes the entries that it was given before the vote; the vote still waits."""
    candidate = node(1, term=1, leader=2, slow_disk=True)
    entries_ticket = candidate.receive(2, append_entries(1, 2, new="1")).persist
    candidate.receive(2, TimeoutNow(1, 2))
    assert entries_ticket is not None
    candidate.step(Persisted(entries_ticket.ticket))
    candidate.receive(3, RequestVoteReply(2, True))
    assert candidate.role == "Candidate"
    candidate.persist()
    assert candidate.role == "Leader"


def test_single_node_leads_when_its_vote_is_durable() -> None:
    """F2.STA.1d: alone, the own vote is the whole majority."""
    candidate = node(1, voters=(1,), slow_disk=True)
    candidate.time_out()
    assert candidate.role == "Candidate"
    candidate.persist()
    assert candidate.role == "Leader"


def test_new_leader_starts_from_its_own_last_index_and_knows_of_no_match() -> None:
    """F2.STA.2: next_index is the leader's last log index + 1, match_index 0, whatever an earlier leadership knew."""
    leader = node(1, term=4, log="1 1 2 3", role="leader")
    for progress in leader.leader.progress.values():
        assert (progress.next_index, progress.match_index) == (5, 0)


def test_second_leadership_begins_without_the_memory_of_the_first() -> None:
    """F2.STA.2: what was acknowledged in an older term does not count in the new one."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.propose(1, b"x")
    cluster.deliver()
    cluster.campaign(2)
    cluster.deliver()
    cluster.elect(1, 3)
    leader = cluster.nodes[1].leader
    assert {peer: p.match_index for peer, p in leader.progress.items()} == {2: 0, 3: 0}
