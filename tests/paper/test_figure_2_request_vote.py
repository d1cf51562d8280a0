"""Figure 2, the box "RequestVote RPC": the receiver's rules, and what up-to-date means (section 5.4.1)."""

import pytest

from raftwerk.raft.messages import RequestVote, RequestVoteReply
from tests.raft.builder import Node, node, only


def ask(voter: Node, term: int, last_log_index: int, last_log_term: int) -> RequestVoteReply:
    """The answer to node 3, a candidate."""
    rpc = RequestVote(term, 3, last_log_index, last_log_term)
    return only(voter.receive(3, rpc), RequestVoteReply, to=3)


def test_older_term_is_refused() -> None:
    """F2.RV.1: a candidate of the past gets no vote, however good its log, and learns the present term."""
    voter = node(1, term=5, log="1 1")
    assert ask(voter, 4, 9, 4) == RequestVoteReply(5, False)
    assert voter.state.voted_for == 0


@pytest.mark.parametrize(
    ("voted_for", "vote_granted"),
    [
        pytest.param(0, True, id="nobody"),
        pytest.param(3, True, id="this candidate"),
        pytest.param(2, False, id="another"),
    ],
)
def test_vote_depends_on_the_vote_given_in_this_term(voted_for: int, vote_granted: bool) -> None:
    """F2.RV.2: one vote in a term, which may be repeated to the same candidate."""
    voter = node(1, term=5, log="1 1", voted_for=voted_for)
    assert ask(voter, 5, 2, 1) == RequestVoteReply(5, vote_granted)
    assert voter.state.voted_for == (voted_for or 3)


def test_vote_is_new_in_a_new_term() -> None:
    """F2.RV.2: what was voted in an older term does not bind."""
    voter = node(1, term=5, log="1 1", voted_for=2)
    assert ask(voter, 6, 2, 1) == RequestVoteReply(6, True)
    assert voter.state.voted_for == 3


@pytest.mark.parametrize(
    ("last_log_index", "last_log_term", "vote_granted"),
    [
        pytest.param(3, 2, True, id="same"),
        pytest.param(4, 2, True, id="longer"),
        pytest.param(2, 2, False, id="shorter"),
        pytest.param(1, 3, True, id="later term, shorter"),
        pytest.param(9, 1, False, id="earlier term, longer"),
        pytest.param(0, 0, False, id="empty"),
    ],
)
def test_vote_needs_a_log_at_least_as_up_to_date(
    last_log_index: int, last_log_term: int, vote_granted: bool
) -> None:
    """P5.4.1 in F2.RV.2: the last terms are compared, then the lengths."""
    voter = node(1, term=5, log="1 2 2")
    assert ask(voter, 6, last_log_index, last_log_term).vote_granted is vote_granted


def test_up_to_date_is_judged_by_the_snapshot_when_the_log_is_empty() -> None:
    """P5.4.1: a compacted entry still counts."""
    voter = node(1, term=5, snapshot=(7, 4))
    assert not ask(voter, 6, 6, 4).vote_granted
    assert ask(voter, 6, 7, 4).vote_granted
