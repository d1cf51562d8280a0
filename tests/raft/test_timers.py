"""What time does: election timeouts, heartbeats, check-quorum, and connections that open and close."""

from itertools import pairwise

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Refusal, Refused
from raftwerk.raft.events import LinkClosed, LinkOpened, Propose, Read
from raftwerk.raft.messages import AppendEntries, PreVote
from raftwerk.raft.progress import Mode
from raftwerk.raft.timers import early_campaign_pause_ms
from raftwerk.raft.types import NOBODY, NodeId
from tests.raft.builder import Node, node, receivers, sent


def follower(seed: int = 1, node_id: NodeId = 1) -> Node:
    leader = 2 if node_id != 2 else 1
    return node(node_id, term=3, log="1 3", leader=leader, seed=seed)


def leader(**options: object) -> Node:
    return node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2}, **options)  # type: ignore[arg-type]


# --- not leading


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_election_timeout_asks_for_pre_votes(role: str) -> None:
    built = node(1, term=3, log="1", role=role)
    effects = built.tick(built.state.role.election_timeout_ms)
    assert receivers(effects, PreVote) == [2, 3]
    assert built.role == "PreCandidate"


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_nothing_happens_before_the_election_timeout(role: str) -> None:
    built = node(1, term=3, log="1", role=role)
    assert built.tick(built.state.role.election_timeout_ms - 1) == Effects()


def test_leader_that_is_heard_starts_the_wait_anew() -> None:
    built = follower()
    for _ in range(5):
        built.tick(999)
        built.receive(2, AppendEntries(3, 2, 2, 3, [], 0))
    assert built.role == "Follower"


def test_stale_leader_that_is_heard_does_not() -> None:
    built = follower()
    built.tick(700)
    built.receive(3, AppendEntries(2, 3, 2, 2, [], 0))
    assert built.state.role.elapsed_ms == 700


def test_timeouts_are_drawn_from_the_documented_range() -> None:
    """And differ, so that votes are rarely split (section 5.2)."""
    drawn = {follower(seed).state.role.election_timeout_ms for seed in range(60)}
    assert min(drawn) >= 1000
    assert max(drawn) < 2000
    assert len(drawn) > 30


# --- leading


def test_leader_steps_down_when_a_majority_was_silent_for_an_election_timeout() -> None:
    """Thesis 6.2: so that clients do not wait for who cannot answer."""
    built = leader()
    built.tick(999)
    assert built.role == "Leader"
    effects = built.tick(1)
    assert (built.role, built.state.leader_id, built.state.current_term) == ("Follower", NOBODY, 3)
    assert effects.notices[0].event == "lost contact with a majority"


def test_leader_stays_while_a_majority_answers() -> None:
    built = leader()
    for _ in range(5):
        built.tick(999)
        built.ack(3, 2)
    assert built.role == "Leader"


def test_learners_that_answer_are_no_majority() -> None:
    built = leader(learners=(4, 5))
    built.tick(999)
    built.ack(4, 2)
    built.ack(5, 2)
    built.tick(1)
    assert built.role == "Follower"


def test_single_voter_leads_for_ever() -> None:
    built = node(1, term=3, log="1 3", role="leader", voters=(1,), commit=2)
    built.tick(100_000)
    assert built.role == "Leader"


def test_leader_that_steps_down_refuses_its_reads() -> None:
    built = leader()
    built.read(request=7)
    assert built.tick(1000).refused == [Refused(7, Refusal.NOT_LEADER)]


# --- connections


def test_leaders_connection_closed_is_an_early_campaign() -> None:
    """A process that died is not waited for."""
    built = follower()
    effects = built.step(LinkClosed(2))
    assert [told.event for told in effects.notices] == ["leader's connection closed"]
    assert built.state.leader_id == NOBODY
    effects = built.tick(early_limit(built))
    assert receivers(effects, PreVote) == [2, 3]


def early_limit(built: Node) -> int:
    config = built.state.config
    return config.early_campaign_stagger_ms * (len(built.state.membership.voters) + 1)


def test_early_campaign_of_a_live_leaders_follower_disturbs_nobody() -> None:
    """A broken cable is no crash: the pre-vote is refused by those who hear the leader."""
    built, other = follower(), follower(node_id=3)
    built.step(LinkClosed(2))
    asked = sent(built.tick(early_limit(built)), PreVote, to=3)[0]
    before = (other.state.current_term, other.state.leader_id)
    built.receive(3, *[message for _, message in other.receive(1, asked).messages])
    assert (other.state.current_term, other.state.leader_id) == before
    assert (built.role, built.state.current_term) == ("PreCandidate", 3)


def test_leader_heard_again_ends_the_early_campaign() -> None:
    built = follower()
    built.step(LinkClosed(2))
    built.receive(2, AppendEntries(3, 2, 2, 3, [], 0))
    assert not built.tick(early_limit(built)).messages


def test_what_was_asked_of_the_dead_leader_is_answered() -> None:
    built = follower()
    built.step(Propose(1, [b"x"]), Read(2))
    assert built.step(LinkClosed(2)).refused == [
        Refused(1, Refusal.OUTCOME_UNKNOWN),
        Refused(2, Refusal.NOT_LEADER),
    ]


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_other_connections_closed_mean_nothing(role: str) -> None:
    built = node(1, term=3, log="1", role=role)
    assert built.step(LinkClosed(3)) == Effects()


@pytest.mark.parametrize("seed", range(8))
def test_voters_pause_in_turn_so_that_they_do_not_collide(seed: int) -> None:
    """The rank among the remaining voters, in staggers, and a random part smaller than the distance."""
    pauses = [
        early_campaign_pause_ms(node(node_id, voters=(1, 2, 3, 4, 5), seed=seed).state, without=2)
        for node_id in (1, 3, 4, 5)
    ]
    assert pauses == sorted(pauses)
    assert all(later - sooner >= 10 for sooner, later in pairwise(pauses))
    assert pauses[0] >= 1
    assert pauses[-1] <= 4 * 20


def test_pause_without_stagger_is_a_moment() -> None:
    built = node(1, config=Config(early_campaign_stagger_ms=0))
    assert early_campaign_pause_ms(built.state, without=2) == 1


def test_learner_ranks_behind_all_voters() -> None:
    learner = node(4, voters=(1, 2, 3), learners=(4,))
    assert early_campaign_pause_ms(learner.state, without=2) > 2 * 20


def test_lost_connection_ends_the_pipeline() -> None:
    """What was in flight is lost: ask where the follower stands."""
    built = leader()
    built.propose(b"x")
    effects = built.step(LinkClosed(2))
    progress = built.leader.progress[2]
    assert (progress.mode, progress.next_index) == (Mode.PROBE, 3)
    assert len(sent(effects, AppendEntries, to=2)) == 1


@pytest.mark.parametrize("event", [LinkClosed(9), LinkOpened(9)], ids=["closed", "opened"])
def test_strangers_connection_means_nothing(event: LinkClosed | LinkOpened) -> None:
    assert leader().step(event) == Effects()


def test_opened_connection_means_nothing_to_a_follower() -> None:
    assert follower().step(LinkOpened(2)) == Effects()


def test_lost_connection_of_a_probe_means_nothing() -> None:
    built = node(1, term=3, log="1 3", role="leader")
    assert built.step(LinkClosed(2)) == Effects()


# --- the start


def test_restarted_node_asks_soon_but_lets_a_leader_speak_first() -> None:
    built = node(1, term=3, log="1 3")
    assert not built.tick(2 * 100).messages
    assert receivers(built.tick(100), PreVote) == [2, 3]


def test_node_alone_waits_for_nobody() -> None:
    built = node(1, voters=(1,))
    built.tick(20)
    assert built.role == "Leader"
