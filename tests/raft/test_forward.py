"""Proposals: the leader appends them; a follower hands those of its clients to the leader."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, Proposed, Refusal, Refused
from raftwerk.raft.events import DiskSpace, Propose, Received
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ForwardCommands,
    ForwardCommandsReply,
    RequestVote,
)
from tests.raft.builder import Node, node, only, sent


def leader(config: Config | None = None) -> Node:
    return node(
        1, term=3, log="1 3", role="leader", acks={2: 2}, commit=2, config=config or Config()
    )


def follower() -> Node:
    return node(1, term=3, log="1 3", leader=2)


# --- the leader


def test_leader_appends_in_order_and_says_where() -> None:
    built = leader()
    effects = built.step(Propose(7, [b"a", b"b"]), Propose(8, [b"c"]))
    assert effects.proposed == [Proposed(7, 3, 3, 2), Proposed(8, 5, 3, 1)]
    assert [entry.command for entry in built.entries[2:]] == [b"a", b"b", b"c"]
    assert built.log == "1 3 3 3 3"


def test_proposal_of_nothing_takes_no_place() -> None:
    built = leader()
    assert built.propose(request=7).proposed == [Proposed(7, 3, 3, 0)]
    assert built.state.log.last_index == 2


def test_leader_takes_in_a_followers_commands() -> None:
    built = leader()
    effects = built.receive(2, ForwardCommands(3, 40, [b"a", b"b"]))
    assert only(effects, ForwardCommandsReply, to=2) == ForwardCommandsReply(3, 40, 3)
    assert [entry.command for entry in built.entries[2:]] == [b"a", b"b"]
    assert built.leader.uncommitted_bytes == 2


@pytest.mark.parametrize(
    ("config", "accepted"),
    [(Config(uncommitted_entries_max=2), 2), (Config(uncommitted_bytes_max=11), 3)],
    ids=["entries", "bytes"],
)
def test_leader_refuses_while_too_much_waits_for_commitment(config: Config, accepted: int) -> None:
    """Back-pressure: the log does not grow without bound when followers are gone."""
    built = leader(config)
    answers = [built.propose(b"12345") for _ in range(accepted + 2)]
    assert [len(effects.proposed) for effects in answers] == [1] * accepted + [0, 0]
    assert answers[-1].refused == [Refused(1, Refusal.OVERLOADED)]
    assert built.state.log.last_index == 2 + accepted
    effects = built.receive(3, ForwardCommands(3, 40, [b"x"]))
    assert only(effects, ForwardCommandsReply, to=3).refusal == Refusal.OVERLOADED


def test_commands_are_refused_while_the_disk_is_full() -> None:
    """Its own clients' and the followers': what was accepted before still fits, nothing more does."""
    built = leader()
    effects = built.step(DiskSpace(has_room=False), Propose(7, [b"a"]))
    assert effects.refused == [Refused(7, Refusal.NO_SPACE)]
    effects = built.receive(2, ForwardCommands(3, 40, [b"b"]))
    assert only(effects, ForwardCommandsReply, to=2).refusal == Refusal.NO_SPACE
    effects = built.step(DiskSpace(has_room=True), Propose(8, [b"c"]))
    assert effects.proposed == [Proposed(8, 3, 3, 1)]
    assert built.log == "1 3 3"


def test_follower_with_a_full_disk_forwards_nothing() -> None:
    """It could not apply what the leader would make of it."""
    built = follower()
    effects = built.step(DiskSpace(has_room=False), Propose(7, [b"a"]))
    assert effects.refused == [Refused(7, Refusal.NO_SPACE)]
    assert not sent(effects, ForwardCommands)


@pytest.mark.parametrize("request_id", [40, 39], ids=["again", "overtaken"])
def test_commands_that_the_network_repeats_are_taken_once(request_id: int) -> None:
    """A request that was taken in, or that a newer one overtook, gets no second answer: silence is always safe."""
    built = leader()
    built.receive(2, ForwardCommands(3, 40, [b"a"]))
    effects = built.receive(2, ForwardCommands(3, request_id, [b"a"]))
    assert not sent(effects, ForwardCommandsReply)
    assert built.log == "1 3 3"


def test_refused_commands_that_the_network_repeats_stay_refused() -> None:
    """The refusal says that nothing was done: that must stay true."""
    built = leader(Config(uncommitted_entries_max=1))
    built.propose(b"a")
    built.receive(2, ForwardCommands(3, 40, [b"b"]))
    built.ack(2, 3)
    built.receive(2, ForwardCommands(3, 40, [b"b"]))
    assert built.log == "1 3 3"


def test_numbers_of_another_life_and_of_another_follower_are_their_own() -> None:
    """A follower that restarts counts from another place, perhaps a lower one."""
    built = leader()
    built.receive(2, ForwardCommands(3, 40 << 32, [b"a"]))
    built.receive(2, ForwardCommands(3, 7 << 32, [b"b"]))
    built.receive(3, ForwardCommands(3, 7 << 32, [b"c"]))
    assert built.log == "1 3 3 3 3"


def test_commands_of_an_older_term_are_not_taken() -> None:
    """Whoever asked has given them up, or will when it hears of the term; a copy may have been taken in then."""
    built = leader()
    assert not sent(built.receive(2, ForwardCommands(2, 40, [b"a"])), ForwardCommandsReply)
    assert built.log == "1 3"


def test_node_that_led_in_this_term_does_not_know() -> None:
    """It may have taken them in before it stepped down, and the network repeats them."""
    built = node(1, term=3, voted_for=1, log="1 3")
    effects = built.receive(3, ForwardCommands(3, 40, [b"x"]))
    assert only(effects, ForwardCommandsReply, to=3).refusal == Refusal.OUTCOME_UNKNOWN


def test_leader_takes_proposals_again_when_some_are_committed() -> None:
    built = leader(Config(uncommitted_entries_max=2))
    built.propose(b"a", b"b")
    built.ack(2, 3)
    assert built.propose(b"c", request=7).proposed == [Proposed(7, 5, 3, 1)]


def test_proposal_in_a_row_of_events_is_answered_by_the_role_of_its_moment() -> None:
    """The commands before the step down have their place; those after it have none."""
    effects = leader().step(
        Propose(7, [b"a"]), Received(2, AppendEntriesReply(4, False, 0)), Propose(8, [b"b"])
    )
    assert effects.proposed == [Proposed(7, 3, 3, 1)]
    assert effects.refused == [Refused(8, Refusal.NO_LEADER)]


# --- followers


def test_follower_hands_commands_to_the_leader() -> None:
    built = follower()
    effects = built.propose(b"a", b"b", request=7)
    asked = only(effects, ForwardCommands, to=2)
    assert (asked.term, asked.commands) == (3, (b"a", b"b"))
    assert not effects.proposed
    effects = built.receive(2, ForwardCommandsReply(3, asked.request_id, 30))
    assert effects.proposed == [Proposed(7, 30, 3, 2)]


def test_each_hand_over_has_its_own_number() -> None:
    built = follower()
    numbers = [only(built.propose(b"x"), ForwardCommands).request_id for _ in range(4)]
    assert len(set(numbers)) == 4


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_node_without_a_leader_refuses(role: str) -> None:
    effects = node(1, term=3, log="1", role=role).propose(b"x", request=7)
    assert effects.refused == [Refused(7, Refusal.NO_LEADER)]


def test_node_that_does_not_lead_takes_nothing() -> None:
    built = follower()
    effects = built.receive(3, ForwardCommands(3, 40, [b"x"]))
    assert only(effects, ForwardCommandsReply, to=3) == ForwardCommandsReply(3, 40, 0, "not leader")
    assert built.state.log.last_index == 2


@pytest.mark.parametrize("refusal", [Refusal.OVERLOADED, Refusal.NOT_LEADER])
def test_refusal_of_the_leader_reaches_the_client(refusal: Refusal) -> None:
    """Nothing was done, so it may be tried again."""
    built = follower()
    asked = only(built.propose(b"x", request=7), ForwardCommands)
    effects = built.receive(2, ForwardCommandsReply(3, asked.request_id, 0, refusal.value))
    assert (effects.refused, effects.proposed) == ([Refused(7, refusal)], [])


@pytest.mark.parametrize("refusal", [Refusal.NOT_LEADER, Refusal.OUTCOME_UNKNOWN])
def test_leader_that_says_it_does_not_lead_is_asked_no_more(refusal: Refusal) -> None:
    built = follower()
    asked = only(built.propose(b"x"), ForwardCommands)
    built.receive(2, ForwardCommandsReply(3, asked.request_id, 0, refusal.value))
    assert built.propose(b"y", request=8).refused == [Refused(8, Refusal.NO_LEADER)]


def test_overloaded_leader_is_a_leader() -> None:
    built = follower()
    asked = only(built.propose(b"x"), ForwardCommands)
    built.receive(2, ForwardCommandsReply(3, asked.request_id, 0, "too many uncommitted entries"))
    assert sent(built.propose(b"y"), ForwardCommands, to=2)


def test_word_of_a_former_leader_does_not_unseat_the_present_one() -> None:
    built = follower()
    asked = only(built.propose(b"x"), ForwardCommands)
    built.receive(3, ForwardCommandsReply(3, asked.request_id, 0, "not leader"))
    assert built.state.leader_id == 2


def test_follower_bounds_what_it_hands_over() -> None:
    """A leader that is slow to answer: what is more is refused, and nothing was done."""
    built = node(1, term=3, log="1 3", leader=2, config=Config(forwards_max=2))
    first = only(built.propose(b"a", request=7), ForwardCommands)
    built.propose(b"b", request=8)
    effects = built.propose(b"c", request=9)
    assert effects.refused == [Refused(9, Refusal.OVERLOADED)]
    assert not sent(effects, ForwardCommands)
    built.receive(2, ForwardCommandsReply(3, first.request_id, 3))
    assert sent(built.propose(b"d", request=10), ForwardCommands, to=2)


def test_answer_sent_twice_counts_once() -> None:
    built = follower()
    answer = ForwardCommandsReply(
        3, only(built.propose(b"x", request=7), ForwardCommands).request_id, 3
    )
    assert built.receive(2, answer, answer).proposed == [Proposed(7, 3, 3, 1)]


def test_silence_for_an_election_timeout_leaves_the_outcome_unknown() -> None:
    """The commands or the answer were lost: nobody here can tell which."""
    built = follower()
    asked = only(built.propose(b"x", request=7), ForwardCommands)
    built.tick(999)
    built.receive(2, AppendEntries(3, 2, 2, 3, [], 0))
    effects = built.tick(1)
    assert effects.refused == [Refused(7, Refusal.OUTCOME_UNKNOWN)]
    assert built.receive(2, ForwardCommandsReply(3, asked.request_id, 3)) == Effects()


@pytest.mark.parametrize(
    "event",
    [
        Received(3, AppendEntries(4, 3, 2, 3, [], 0)),
        Received(3, RequestVote(4, 3, 2, 3, is_transfer=True)),
        Received(2, AppendEntries(4, 2, 2, 3, [], 0)),
    ],
    ids=["new-leader", "new-candidate", "same-leader-again"],
)
def test_new_term_leaves_the_outcome_unknown(event: Received) -> None:
    built = follower()
    built.propose(b"x", request=7)
    assert built.step(event).refused == [Refused(7, Refusal.OUTCOME_UNKNOWN)]


def test_hand_over_that_the_new_term_overtook_is_not_sent() -> None:
    effects = follower().step(Propose(7, [b"x"]), Received(3, AppendEntries(4, 3, 2, 3, [], 0)))
    assert effects.refused == [Refused(7, Refusal.OUTCOME_UNKNOWN)]
    assert not sent(effects, ForwardCommands)


def test_own_candidacy_leaves_the_outcome_unknown() -> None:
    built = follower()
    built.propose(b"x", request=7)
    assert built.time_out().refused == [Refused(7, Refusal.OUTCOME_UNKNOWN)]


def test_forwarded_command_is_in_the_log_once() -> None:
    """Both ends together, and the entry comes back to the follower that asked."""
    lead, follow = leader(), node(2, term=3, log="1 3", leader=1)
    asked = only(follow.propose(b"x", request=7), ForwardCommands, to=1)
    effects = lead.receive(2, asked)
    (proposed,) = follow.receive(1, only(effects, ForwardCommandsReply)).proposed
    follow.receive(1, *sent(effects, AppendEntries, to=2))
    entry = follow.entries[proposed.first_index - 1]
    assert (entry.command, entry.term) == (b"x", proposed.term)
