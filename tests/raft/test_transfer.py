"""Leadership transfer (thesis 3.10): a leader without room on its disk hands over, and a follower that has room takes over."""

import pytest

from raftwerk.raft.effects import Effects, Notice
from raftwerk.raft.events import DiskSpace, Propose, Tick
from raftwerk.raft.messages import RequestVote, TimeoutNow
from tests.raft.builder import CONFIG, Node, node, only, receivers, sent


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate"])
def test_target_starts_an_election_at_once(role: str) -> None:
    """Without a wait and without a pre-vote, though a leader was just heard."""
    target = node(1, term=3, log="1 3", role=role, leader=2 if role == "follower" else 0)
    effects = target.receive(2, TimeoutNow(3, 2))
    assert (target.role, target.state.current_term) == ("Candidate", 4)
    assert receivers(effects, RequestVote) == [2, 3]
    assert all(request.is_transfer for request in sent(effects, RequestVote))


def test_stale_leader_transfers_nothing() -> None:
    target = node(1, term=3, log="1 3", leader=3)
    assert target.receive(2, TimeoutNow(2, 2)) == Effects()
    assert target.state.current_term == 3


def test_newer_leader_transfers_from_its_term() -> None:
    target = node(1, term=3, log="1 3", leader=3)
    target.receive(2, TimeoutNow(5, 2))
    assert (target.role, target.state.current_term) == ("Candidate", 6)


def test_leader_keeps_what_it_has() -> None:
    """The message was sent twice, and the target has won already."""
    leader = node(1, term=3, log="1 3", role="leader")
    assert leader.receive(2, TimeoutNow(3, 2)) == Effects()
    assert leader.role == "Leader"


def test_who_has_no_room_either_leaves_it_to_others() -> None:
    target = node(1, term=3, log="1 3", leader=2)
    target.step(DiskSpace(has_room=False))
    assert target.receive(2, TimeoutNow(3, 2)) == Effects()
    assert target.role == "Follower"


def without_room(*, acks: dict[int, int], **more: object) -> Node:
    """A leader of term 3 whose disk is full; its log ends at 2."""
    leader = node(1, term=3, log="1 3", role="leader", acks=acks, **more)  # type: ignore[arg-type]
    leader.step(DiskSpace(has_room=False))
    return leader


def asked_at_each_timeout(leader: Node, times: int, answering: tuple[int, ...]) -> list[list[int]]:
    """Who is asked to take over, from one election timeout to the next; they go on answering heartbeats."""
    asked = []
    pause_ms = CONFIG.election_timeout_ms // 2
    for _ in range(times):
        first = leader.tick(1)
        for peer in answering:
            leader.ack(peer, 2)
        second = leader.tick(pause_ms)
        for peer in answering:
            leader.ack(peer, 2)
        third = leader.tick(pause_ms - 1)
        asked.append([to for each in (first, second, third) for to in receivers(each, TimeoutNow)])
    return asked


def test_leader_without_room_asks_the_others_in_turn() -> None:
    """One in each election timeout: the first that has room will win."""
    leader = without_room(acks={2: 2, 3: 2})
    assert asked_at_each_timeout(leader, 4, (2, 3)) == [[2], [3], [2], [3]]


def test_it_is_told_once_that_the_leader_hands_over() -> None:
    leader = without_room(acks={2: 2, 3: 2})
    first = leader.tick(1)
    assert only(first, TimeoutNow) == TimeoutNow(3, 1)
    assert [notice.facts["peer"] for notice in first.notices if "handing over" in notice.event] == [
        2
    ]
    later: list[Notice] = []
    for _ in range(30):
        later += leader.tick(CONFIG.heartbeat_interval_ms).notices
        leader.ack(2, 2)
        leader.ack(3, 2)
    assert not later


def test_leader_with_room_hands_nothing_over() -> None:
    """Also when there was none for a moment."""
    leader = node(1, term=3, log="1 3", role="leader", acks={2: 2, 3: 2})
    assert not sent(leader.tick(1), TimeoutNow)
    leader.step(DiskSpace(has_room=False), DiskSpace(has_room=True))
    assert not sent(leader.tick(1), TimeoutNow)


def test_who_lacks_an_entry_is_not_asked() -> None:
    """It could not win."""
    leader = without_room(acks={2: 1, 3: 2})
    assert receivers(leader.tick(1), TimeoutNow) == [3]
    behind = without_room(acks={2: 1})
    assert not sent(behind.tick(1), TimeoutNow)


def test_who_is_not_heard_is_not_asked() -> None:
    leader = without_room(acks={2: 2, 3: 2})
    assert asked_at_each_timeout(leader, 4, answering=(3,)) == [[2], [3], [3], [3]]


def test_learner_is_not_asked() -> None:
    leader = without_room(acks={2: 1, 3: 1, 4: 2}, learners=(4,))
    assert not sent(leader.tick(1), TimeoutNow)


def test_commands_meet_no_transfer_half_way() -> None:
    """What is refused for want of room is in no log that the target would lack."""
    leader = without_room(acks={2: 2, 3: 2})
    effects = leader.step(Propose(1, [b"x"]), Tick(1))
    assert effects.refused
    assert leader.state.log.last_index == 2
    assert receivers(effects, TimeoutNow) == [2]


def test_learner_cannot_take_over() -> None:
    learner = node(4, term=3, log="1 3", learners=(4,), leader=2)
    assert learner.receive(2, TimeoutNow(3, 2)) == Effects()
