"""Thesis 3.10: leadership transfer, at its target."""

from raftwerk.raft.messages import RequestVote, RequestVoteReply, TimeoutNow
from tests.raft.builder import node, only, receivers, sent
from tests.raft.cluster import Cluster


def test_target_starts_an_election_at_once() -> None:
    """T3.10.1: without waiting, and without asking for pre-votes, which would be refused."""
    target = node(1, term=3, log="1 2", leader=2)
    effects = target.receive(2, TimeoutNow(3, 2))
    assert target.role == "Candidate"
    assert target.state.current_term == 4
    assert receivers(effects, RequestVote) == [2, 3]
    assert all(rpc.is_transfer for rpc in sent(effects, RequestVote))


def test_vote_is_given_although_the_leader_is_heard() -> None:
    """T3.10.2: the leader itself asked for this election."""
    voter = node(1, term=3, log="1 2", leader=2)
    rpc = RequestVote(4, 3, 2, 2, is_transfer=True)
    assert only(voter.receive(3, rpc), RequestVoteReply, to=3) == RequestVoteReply(4, True)


def test_transfer_does_not_excuse_a_log_that_is_behind() -> None:
    """T3.10.2: everything else is asked for as ever."""
    voter = node(1, term=3, log="1 2", leader=2)
    rpc = RequestVote(4, 3, 1, 1, is_transfer=True)
    assert only(voter.receive(3, rpc), RequestVoteReply, to=3) == RequestVoteReply(4, False)


def test_request_of_an_older_term_starts_nothing() -> None:
    """T3.10.3: the leader that sent it is no more."""
    target = node(1, term=3, log="1 2", leader=3)
    assert not target.receive(2, TimeoutNow(2, 2)).messages
    assert target.role == "Follower"


def test_leader_starts_no_election() -> None:
    """T3.10.3: it has won already."""
    leader = node(1, term=3, log="1 2", role="leader")
    leader.receive(2, TimeoutNow(3, 2))
    assert leader.role == "Leader"
    assert leader.state.current_term == 3


def test_learner_is_no_target() -> None:
    """T3.10.1: it may not lead."""
    learner = node(4, term=3, learners=(4,), leader=2)
    learner.receive(2, TimeoutNow(3, 2))
    assert learner.role == "Follower"


def test_leadership_passes_within_one_round() -> None:
    """T3.10.1: end to end, while everybody still hears the old leader."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.campaign(2)
    cluster.deliver()
    assert cluster.is_leader(2)
    assert not cluster.is_leader(1)
    assert cluster.leaders == {1: 1, 2: 2}
