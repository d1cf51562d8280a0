"""Thesis 9.6: preventing disruptions when a server rejoins the cluster."""

import pytest

from raftwerk.raft.messages import PreVote, PreVoteReply, RequestVote
from tests.raft.builder import CONFIG, Node, node, only, receivers, sent
from tests.raft.cluster import Cluster


def ask(voter: Node, next_term: int, log: tuple[int, int] = (2, 2)) -> bool:
    """Whether the voter would vote for node 3, whose log ends at (index, term)."""
    rpc = PreVote(next_term - 1, next_term, 3, *log)
    reply = only(voter.receive(3, rpc), PreVoteReply, to=3)
    assert reply.next_term == next_term
    return reply.vote_granted


def test_term_stays_while_the_election_is_only_considered() -> None:
    """T9.6.1: a server that cannot win does not disturb anybody with a new term."""
    server = node(1, term=3, log="1 2", voted_for=2)
    effects = server.time_out()
    assert only(effects, PreVote, to=3) == PreVote(3, 4, 1, 2, 2)
    assert not sent(effects, RequestVote)
    assert (server.state.current_term, server.state.voted_for) == (3, 2)
    assert effects.persist is None


def test_server_that_is_alone_with_its_wish_keeps_asking_in_the_same_term() -> None:
    """T9.6.1: a minority never moves its term, however long it waits."""
    cluster = Cluster(5)
    cluster.elect(1)
    cluster.deliver()
    cluster.partition({1, 2, 3}, {4, 5})
    cluster.run(10_000)
    assert [cluster.nodes[n].state.current_term for n in (1, 4, 5)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("next_term", "log", "granted"),
    [
        pytest.param(4, (2, 2), True, id="new term, same log"),
        pytest.param(3, (2, 2), False, id="term is not new"),
        pytest.param(4, (1, 2), False, id="log is shorter"),
        pytest.param(4, (9, 1), False, id="log is of an older term"),
    ],
)
def test_pre_vote_is_granted_as_a_vote_would_be(
    next_term: int, log: tuple[int, int], granted: bool
) -> None:
    """T9.6.2: the question is about a real vote in next_term."""
    assert ask(node(1, term=3, log="1 2"), next_term, log) is granted


def test_pre_vote_is_refused_while_the_leader_is_heard() -> None:
    """T9.6.2: no majority then believes that an election is due."""
    voter = node(1, term=3, log="1 2", leader=2)
    voter.tick(CONFIG.election_timeout_ms - 1)
    assert not ask(voter, 4)


def test_pre_vote_is_not_bound_by_the_vote_of_this_term() -> None:
    """T9.6.2: the next term has its own vote."""
    assert ask(node(1, term=3, log="1 2", voted_for=2), 4)


def test_majority_of_pre_votes_starts_the_election() -> None:
    """T9.6.3: two of five besides the own."""
    server = node(1, term=3, role="pre-candidate", voters=(1, 2, 3, 4, 5))
    server.receive(2, PreVoteReply(3, 4, True))
    server.receive(3, PreVoteReply(3, 4, False))
    assert server.role == "PreCandidate"
    effects = server.receive(4, PreVoteReply(3, 4, True))
    assert server.role == "Candidate"
    assert receivers(effects, RequestVote) == [2, 3, 4, 5]


def test_pre_votes_for_another_term_are_not_counted() -> None:
    """T9.6.3: an answer to an older question."""
    server = node(1, term=3, role="pre-candidate")
    server.receive(2, PreVoteReply(3, 3, True))
    assert server.role == "PreCandidate"


def test_majority_of_refusals_ends_the_question() -> None:
    """T9.6.3: the server waits for another election timeout."""
    server = node(1, term=3, role="pre-candidate")
    server.receive(2, PreVoteReply(3, 4, False))
    server.receive(3, PreVoteReply(3, 4, False))
    assert server.role == "Follower"


@pytest.mark.parametrize("role", ["follower", "candidate", "leader"])
def test_pre_vote_changes_nothing(role: str) -> None:
    """T9.6.4: not even the term, though the question comes from a later one."""
    server = node(1, term=3, log="1 2", role=role)
    voted_for = server.state.voted_for
    effects = server.receive(3, PreVote(8, 9, 3, 9, 8))
    assert (server.state.current_term, server.state.voted_for) == (3, voted_for)
    assert server.role.lower() == role
    assert effects.persist is None


def test_server_that_returns_does_not_unseat_the_leader() -> None:
    """T9.6.1: end to end; the leader and its term survive the return."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.deliver()
    cluster.partition({1, 2}, {3})
    cluster.run(5000)
    cluster.heal()
    cluster.run(2000)
    assert cluster.is_leader(1)
    assert cluster.leaders == {1: 1}
