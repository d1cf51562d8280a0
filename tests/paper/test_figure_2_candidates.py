"""Figure 2, "Rules for Servers", candidates."""

from random import Random

from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import PreVote, PreVoteReply, RequestVote, RequestVoteReply
from raftwerk.raft.roles import Candidate
from tests.raft.builder import CONFIG, Node, append_entries, node, only, receivers


def start_election() -> tuple[Node, Effects]:
    """Node 1 of three was told that it could win in term 4."""
    candidate = node(1, term=3, log="1 2", role="pre-candidate")
    return candidate, candidate.receive(2, PreVoteReply(3, 4, True))


def test_election_begins_a_new_term() -> None:
    """F2.CAN.1a: the candidate increments current_term."""
    candidate, _ = start_election()
    assert candidate.state.current_term == 4


def test_candidate_votes_for_itself() -> None:
    """F2.CAN.1b: and for nobody else in that term."""
    candidate, effects = start_election()
    assert candidate.state.voted_for == 1
    assert effects.persist is not None
    assert (effects.persist.current_term, effects.persist.voted_for) == (4, 1)
    reply = only(candidate.receive(3, RequestVote(4, 3, 9, 3)), RequestVoteReply, to=3)
    assert not reply.vote_granted


def test_election_timer_starts_anew() -> None:
    """F2.CAN.1c: the candidate gives its election a whole timeout, newly drawn."""
    candidate = node(1, term=3, role="pre-candidate")
    candidate.state.random.setstate(Random(7).getstate())
    expected = CONFIG.election_timeout_ms + Random(7).randrange(CONFIG.election_timeout_ms)
    candidate.tick(500)
    candidate.receive(2, PreVoteReply(3, 4, True))
    role = candidate.state.role
    assert isinstance(role, Candidate)
    assert (role.election_timeout_ms, role.elapsed_ms) == (expected, 0)


def test_all_other_voters_are_asked() -> None:
    """F2.CAN.1d: RequestVote goes to every other server, and says how up-to-date the own log is."""
    _, effects = start_election()
    assert receivers(effects, RequestVote) == [2, 3]
    assert only(effects, RequestVote, to=3) == RequestVote(4, 1, 2, 2)


def test_majority_of_votes_makes_a_leader() -> None:
    """F2.CAN.2: in a cluster of five, the third vote decides."""
    candidate = node(1, term=4, role="candidate", voters=(1, 2, 3, 4, 5))
    candidate.receive(2, RequestVoteReply(4, True))
    assert candidate.role == "Candidate"
    candidate.receive(3, RequestVoteReply(4, True))
    assert candidate.role == "Leader"


def test_refusals_do_not_count() -> None:
    """F2.CAN.2: neither do answers from the same voter twice."""
    candidate = node(1, term=4, role="candidate", voters=(1, 2, 3, 4, 5))
    candidate.receive(2, RequestVoteReply(4, True), RequestVoteReply(4, True))
    candidate.receive(3, RequestVoteReply(4, False))
    candidate.receive(4, RequestVoteReply(4, False))
    assert candidate.role == "Candidate"


def test_candidate_follows_the_leader_of_its_term() -> None:
    """F2.CAN.3: somebody else won."""
    candidate = node(1, term=4, role="candidate")
    candidate.receive(3, append_entries(4, 3))
    assert candidate.role == "Follower"
    assert (candidate.state.current_term, candidate.state.leader_id) == (4, 3)


def test_pre_candidate_follows_the_leader_of_its_term() -> None:
    """F2.CAN.3: the leader was only slow."""
    candidate = node(1, term=4, role="pre-candidate")
    candidate.receive(3, append_entries(4, 3))
    assert candidate.role == "Follower"
    assert candidate.state.leader_id == 3


def test_candidate_ignores_the_leader_of_an_older_term() -> None:
    """F2.CAN.3: a leader of the past has no say."""
    candidate = node(1, term=4, role="candidate")
    candidate.receive(3, append_entries(3, 3))
    assert candidate.role == "Candidate"


def test_election_that_nobody_wins_is_held_again() -> None:
    """F2.CAN.4: after an election timeout the candidate tries once more, in the next term."""
    candidate = node(1, term=4, role="candidate")
    effects = candidate.time_out()
    assert only(effects, PreVote, to=2).next_term == 5
    candidate.receive(2, PreVoteReply(4, 5, True))
    assert candidate.role == "Candidate"
    assert candidate.state.current_term == 5
