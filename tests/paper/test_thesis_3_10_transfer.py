"""Thesis 3.10: leadership transfer, from a leader that has no room on its disk for commands."""

from raftwerk.raft.events import DiskSpace, Propose, Tick
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


def test_prior_leader_takes_no_commands_while_it_hands_over() -> None:
    """T3.10.4: only then is the target's log, once it is complete, complete for good."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2})
    assert not sent(leader.step(Propose(1, [b"x"]), Tick(1)), TimeoutNow)
    leader.ack(2, 3)
    effects = leader.step(DiskSpace(has_room=False), Propose(2, [b"y"]), Tick(1))
    assert leader.state.log.last_index == 3
    assert only(effects, TimeoutNow, to=2) == TimeoutNow(3, 1)


def test_target_has_all_entries_before_it_is_asked() -> None:
    """T3.10.5: they reach it by normal replication."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 1, 3: 1})
    assert not sent(leader.step(DiskSpace(has_room=False), Tick(1)), TimeoutNow)
    leader.ack(3, 2)
    assert receivers(leader.tick(1), TimeoutNow) == [3]


def test_transfer_that_does_not_complete_is_given_up() -> None:
    """T3.10.6: after an election timeout another one is asked, or nobody, if there is room again."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2})
    timeout_ms = leader.state.config.election_timeout_ms
    assert receivers(leader.step(DiskSpace(has_room=False), Tick(1)), TimeoutNow) == [2]
    assert not sent(leader.tick(timeout_ms - 2), TimeoutNow)
    leader.ack(2, 2)
    leader.ack(3, 2)
    assert not sent(leader.tick(1), TimeoutNow)
    assert receivers(leader.tick(1), TimeoutNow) == [3]
    leader.step(DiskSpace(has_room=True))
    leader.ack(2, 2)
    assert not sent(leader.tick(timeout_ms - 1), TimeoutNow)
    assert leader.role == "Leader"


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
