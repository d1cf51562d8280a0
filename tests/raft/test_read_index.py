"""Linearizable reads without the log (thesis 6.4): rounds of leadership confirmation that all waiting reads share."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, ReadReady, Refusal, Refused
from raftwerk.raft.events import Propose, Read, Received
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    ReadIndex,
    ReadIndexReply,
)
from raftwerk.raft.types import NodeId
from tests.raft.builder import Node, node, only, receivers, sent


def leader(voters: tuple[NodeId, ...] = (1, 2, 3), config: Config | None = None) -> Node:
    """Of term 3, which has committed its no-op at 2."""
    built = node(
        1, term=3, log="1 3", role="leader", voters=voters, commit=2, config=config or Config()
    )
    for voter in voters:
        if voter != 1:
            built.ack(voter, 2)
    return built


def follower(config: Config | None = None) -> Node:
    return node(1, term=3, log="1 3", leader=2, config=config or Config())


# --- the leader


def test_read_is_answered_after_a_round_to_a_majority() -> None:
    built = leader()
    effects = built.read(request=7)
    assert receivers(effects, AppendEntries) == [2, 3]
    assert (sent(effects, AppendEntries)[0].read_round, effects.reads) == (1, [])
    assert built.ack(2, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_answer_that_comes_after_the_majority_releases_nothing_again() -> None:
    built = leader()
    built.read(request=7)
    built.ack(2, 2, read_round=1)
    assert not built.ack(3, 2, read_round=1).reads


def test_answer_to_an_earlier_round_confirms_nothing() -> None:
    """It was given before the read arrived: there may be another leader since."""
    built = leader()
    built.read(request=7)
    assert not built.ack(2, 2, read_round=0).reads


@pytest.mark.parametrize("voters", [(1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)], ids=len)
def test_majority_and_no_less_confirms(voters: tuple[NodeId, ...]) -> None:
    built = leader(voters)
    built.read(request=7)
    needed = len(voters) // 2
    answers = [built.ack(voter, 2, read_round=1).reads for voter in voters[1 : 1 + needed]]
    assert answers == [[]] * (needed - 1) + [[ReadReady(7, 2)]]


def test_learner_confirms_nothing() -> None:
    built = node(1, term=3, log="1 3", role="leader", learners=(4, 5), acks={2: 2}, commit=2)
    built.read(request=7)
    assert not built.ack(4, 2, read_round=1).reads
    assert not built.ack(5, 2, read_round=1).reads


def test_refusal_confirms_the_leadership_too() -> None:
    """The follower's log is behind; whom it follows is another matter."""
    built = node(1, term=3, log="1 3", role="leader", acks={2: 2}, commit=2)
    built.read(request=7)
    effects = built.receive(3, AppendEntriesReply(3, False, 0, 1, 0, read_round=1))
    assert effects.reads == [ReadReady(7, 2)]


def test_answer_of_another_term_confirms_nothing() -> None:
    built = leader()
    built.read(request=7)
    assert not built.receive(2, AppendEntriesReply(2, True, 2, read_round=1)).reads


def test_leader_waits_for_the_first_commit_of_its_term() -> None:
    """Until then it does not know which entries are committed."""
    built = node(1, term=3, log="1 3", role="leader")
    assert not built.read(request=7).messages
    effects = built.ack(2, 2)
    assert sent(effects, AppendEntries)[0].read_round == 1
    assert built.ack(2, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_read_index_is_what_was_committed_when_the_round_began() -> None:
    built = leader()
    built.propose(b"x")
    built.read(request=7)
    assert built.ack(2, 3, read_round=1).reads == [ReadReady(7, 2)]


def test_reads_that_wait_share_a_round() -> None:
    built = leader()
    effects = built.step(Read(7), Read(8), Received(2, ReadIndex(3, 40)))
    assert len(sent(effects, AppendEntries, to=2)) == 1
    effects = built.ack(3, 2, read_round=1)
    assert effects.reads == [ReadReady(7, 2), ReadReady(8, 2)]
    assert only(effects, ReadIndexReply, to=2) == ReadIndexReply(3, 40, 2)


def test_read_takes_part_in_one_round() -> None:
    built = leader()
    built.step(Read(7), Received(2, ReadIndex(3, 40)))
    assert not built.step().messages
    assert built.leader.read_round == 1


def test_later_round_confirms_the_earlier_ones() -> None:
    """In order; each keeps its own index."""
    built = leader()
    built.read(request=7)
    built.propose(b"x")
    built.ack(2, 3)
    built.read(request=8)
    assert built.ack(3, 3, read_round=2).reads == [ReadReady(7, 2), ReadReady(8, 3)]


def test_earlier_round_confirms_no_later_one() -> None:
    built = leader()
    built.read(request=7)
    built.read(request=8)
    assert built.ack(3, 2, read_round=1).reads == [ReadReady(7, 2)]


def test_rounds_in_flight_are_bounded_and_the_rest_shares_the_next() -> None:
    built = leader(config=Config(read_rounds_max=2))
    for request in (7, 8, 9):
        built.read(request)
    assert len(built.read(10).messages) == 0
    effects = built.ack(2, 2, read_round=1)
    assert effects.reads == [ReadReady(7, 2)]
    assert only(effects, AppendEntries, to=2).read_round == 3
    assert built.ack(2, 2, read_round=3).reads == [ReadReady(request, 2) for request in (8, 9, 10)]


def test_lost_round_is_repeated_by_the_next_heartbeat() -> None:
    built = leader()
    built.read(request=7)
    heartbeat = only(built.tick(100), AppendEntries, to=2)
    assert heartbeat.read_round == 1


def test_single_voter_confirms_itself() -> None:
    assert leader((1,)).read(request=7).reads == [ReadReady(7, 2)]


def test_single_voter_has_committed_before_it_answers() -> None:
    built = node(1, term=3, log="1 3", role="leader", voters=(1,), commit=2, slow_disk=True)
    built.step(Propose(1, [b"x"]), Read(7))
    assert built.state.commit_index == 2
    built.persist()
    assert built.read(request=8).reads == [ReadReady(8, 3)]


@pytest.mark.parametrize("answered", [0, 1], ids=["in-flight", "and-waiting"])
def test_leader_that_steps_down_refuses_what_was_not_confirmed(answered: int) -> None:
    built = leader(config=Config(read_rounds_max=1))
    for request in range(answered + 1):
        built.read(request)
    effects = built.receive(2, AppendEntries(4, 2, 2, 3, [], 0))
    assert effects.refused == [
        Refused(request, Refusal.NOT_LEADER) for request in range(answered + 1)
    ]


def test_joint_configuration_confirms_with_both_majorities() -> None:
    built = node(
        1, term=3, log="1 3", role="leader", voters=(1, 2, 3), outgoing=(1, 4, 5), commit=2
    )
    built.read(request=7)
    assert not built.ack(2, 2, read_round=1).reads
    assert built.ack(5, 2, read_round=1).reads == [ReadReady(7, 2)]


# --- followers


def test_follower_asks_the_leader_once_for_all_reads_that_wait() -> None:
    built = follower()
    effects = built.step(Read(7), Read(8))
    asked = only(effects, ReadIndex, to=2)
    effects = built.receive(2, ReadIndexReply(3, asked.request_id, 9))
    assert effects.reads == [ReadReady(7, 9), ReadReady(8, 9)]


def test_follower_never_asks_twice_under_one_number() -> None:
    """A late answer to the first would be older than the second read."""
    built = follower()
    numbers = [only(built.read(request), ReadIndex).request_id for request in range(4)]
    assert len(set(numbers)) == 4


def test_restarted_follower_asks_under_other_numbers() -> None:
    one, other = (node(1, term=3, log="1 3", leader=2, seed=seed) for seed in (1, 2))
    first, second = (only(built.read(), ReadIndex).request_id for built in (one, other))
    assert abs(first - second) > 1000


def test_follower_bounds_what_it_asks() -> None:
    built = follower(Config(read_rounds_max=1))
    asked = only(built.read(7), ReadIndex)
    assert not built.read(8).messages
    assert not built.read(9).messages
    effects = built.receive(2, ReadIndexReply(3, asked.request_id, 5))
    assert effects.reads == [ReadReady(7, 5)]
    asked = only(effects, ReadIndex)
    effects = built.receive(2, ReadIndexReply(3, asked.request_id, 6))
    assert effects.reads == [ReadReady(8, 6), ReadReady(9, 6)]


def test_follower_without_a_leader_refuses() -> None:
    assert node(1, term=3, log="1").read(request=7).refused == [Refused(7, Refusal.NO_LEADER)]


def test_node_that_does_not_lead_says_so() -> None:
    effects = follower().receive(3, ReadIndex(3, 40))
    assert only(effects, ReadIndexReply, to=3) == ReadIndexReply(3, 40, 0, "not leader")


def test_refusal_of_the_leader_reaches_the_reads() -> None:
    built = follower()
    asked = only(built.read(7), ReadIndex)
    effects = built.receive(2, ReadIndexReply(3, asked.request_id, 0, "not leader"))
    assert effects.refused == [Refused(7, Refusal.NOT_LEADER)]
    assert not effects.reads


def test_answer_comes_too_late_for_reads_that_were_given_up() -> None:
    built = follower()
    asked = only(built.read(7), ReadIndex)
    built.tick(900)
    built.receive(2, AppendEntries(3, 2, 2, 3, [], 0))
    assert built.tick(100).refused == [Refused(7, Refusal.NOT_LEADER)]
    assert built.receive(2, ReadIndexReply(3, asked.request_id, 9)) == Effects()


def test_answer_sent_twice_counts_once() -> None:
    built = follower()
    answer = ReadIndexReply(3, only(built.read(7), ReadIndex).request_id, 9)
    effects = built.receive(2, answer, answer)
    assert effects.reads == [ReadReady(7, 9)]


def test_new_leader_means_that_all_reads_are_refused() -> None:
    """Those that were asked, and those that waited for a free round."""
    built = follower(Config(read_rounds_max=1))
    built.read(7)
    built.read(8)
    effects = built.receive(3, AppendEntries(4, 3, 2, 3, [], 0))
    assert effects.refused == [Refused(7, Refusal.NOT_LEADER), Refused(8, Refusal.NOT_LEADER)]


def test_leader_that_was_lost_within_the_step_is_not_asked() -> None:
    effects = follower().step(Read(7), Received(3, AppendEntriesReply(4, False, 0)))
    assert effects.refused == [Refused(7, Refusal.NOT_LEADER)]
    assert not sent(effects, ReadIndex)


def test_leader_that_says_it_does_not_lead_is_not_asked() -> None:
    """It answered a proposal so, in the step in which the read came."""
    built = follower()
    asked = only(built.propose(b"x", request=6), ForwardCommands)
    refusal = ForwardCommandsReply(3, asked.request_id, 0, "not leader")
    effects = built.step(Read(7), Received(2, refusal))
    assert Refused(7, Refusal.NOT_LEADER) in effects.refused
    assert not sent(effects, ReadIndex)


def test_follower_that_asked_and_then_leads_refuses() -> None:
    """The reads were meant for another leadership."""
    built = follower()
    built.read(7)
    assert built.time_out().refused == [Refused(7, Refusal.NOT_LEADER)]


def test_read_of_a_follower_ends_at_its_own_client() -> None:
    """Both ends together."""
    lead, follow = leader(), node(2, term=3, log="1 3", leader=1)
    asked = only(follow.read(7), ReadIndex, to=1)
    confirmation = only(lead.receive(2, asked), AppendEntries, to=2)
    acknowledged = only(follow.receive(1, confirmation), AppendEntriesReply)
    reply = only(lead.receive(2, acknowledged), ReadIndexReply, to=2)
    assert follow.receive(1, reply).reads == [ReadReady(7, 2)]
