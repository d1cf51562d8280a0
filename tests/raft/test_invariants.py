"""The checks themselves: each must see what it is there for."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from raftwerk.raft.invariants import check_state, check_step, remember
from raftwerk.raft.messages import AppendEntriesReply
from raftwerk.raft.state import Incoming, State
from tests.raft.builder import entries, node

Damage = Callable[[State], object]


def sound(role: str) -> State:
    """Compacted up to 2, applied up to 4, committed up to 4, and an entry more."""
    return node(
        1, term=3, log="2 2 3", snapshot=(2, 1), commit=4 if role != "leader" else 5, role=role
    ).state


def assign(path: str, value: object) -> Damage:
    """Set state.<path>."""

    def damage(state: State) -> None:
        *parents, name = path.split(".")
        target: object = state
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, name, value)

    return damage


DAMAGE_ANYWHERE = {
    "applied-before-the-snapshot": assign("last_applied", 1),
    "applied-ahead-of-the-commit": assign("commit_index", 3),
    "applied-ahead-of-the-disk": assign("stable.durable_index", 3),
    "disk-ahead-of-the-log": assign("stable.durable_index", 6),
    "commit-ahead-of-the-log": assign("commit_index", 6),
    "checkpoint-ahead-of-what-is-applied": assign("checkpoint_index", 5),
    "going-ahead-of-the-checkpoint": assign("compact_index", 5),
    "checkpoint-behind-the-snapshot": assign("checkpoint_index", 1),
    "entry-of-a-future-term": assign("current_term", 2),
    "change-not-handed-out": assign("stable.staged_index", 4),
    "message-not-flushed": lambda state: state.stable.queued.append(
        (0, 2, AppendEntriesReply(3, True, 4))
    ),
    "old-message-held": lambda state: state.stable.held.append(
        (9, 2, AppendEntriesReply(2, True, 4))
    ),
}

DAMAGE_BY_ROLE = {
    "leader-voted-for-another": ("leader", assign("voted_for", 2)),
    "candidate-voted-for-another": ("candidate", assign("voted_for", 2)),
    "candidate-follows": ("candidate", assign("leader_id", 2)),
    "pre-candidate-follows": ("pre-candidate", assign("leader_id", 2)),
    "leader-follows": ("leader", assign("leader_id", 2)),
    "leader-without-a-durable-vote": ("leader", assign("stable.is_hard_state_changed", True)),
    "negative-backlog": ("leader", assign("role.uncommitted_bytes", -1)),
    "candidate-installs": (
        "candidate",
        assign("incoming", Incoming(2, 3, 9, 3, b"", is_complete=True)),
    ),
}

DAMAGE_OF_PROGRESS = {
    "match-not-before-next": {"match_index": 5},
    "negative-match": {"match_index": -1},
    "next-beyond-the-log": {"next_index": 7},
    "round-that-was-not-begun": {"read_round": 1},
    "commit-that-is-not-known": {"told_commit_index": 9},
    "window-miscounted": {"in_flight_bytes": 1},
}


@pytest.mark.parametrize("role", ["follower", "pre-candidate", "candidate", "leader"])
def test_sound_state_passes(role: str) -> None:
    state = sound(role)
    check_state(state)
    check_step(remember(state), state)


@pytest.mark.parametrize("damage", DAMAGE_ANYWHERE.values(), ids=DAMAGE_ANYWHERE)
def test_damage_is_seen(damage: Damage) -> None:
    state = sound("follower")
    damage(state)
    with pytest.raises(AssertionError):
        check_state(state)


@pytest.mark.parametrize(("role", "damage"), DAMAGE_BY_ROLE.values(), ids=DAMAGE_BY_ROLE)
def test_damage_of_a_role_is_seen(role: str, damage: Damage) -> None:
    state = sound(role)
    damage(state)
    with pytest.raises(AssertionError):
        check_state(state)


@pytest.mark.parametrize("wrong", DAMAGE_OF_PROGRESS.values(), ids=DAMAGE_OF_PROGRESS)
def test_damage_of_a_leaders_knowledge_is_seen(wrong: dict[str, int]) -> None:
    leader = node(1, term=3, log="1 2 3 3", role="leader")
    known = leader.leader.progress
    known[2] = replace(known[2], **({"next_index": 5} | wrong))  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        check_state(leader.state)


@pytest.mark.parametrize(
    "damage",
    [
        assign("current_term", 2),
        assign("commit_index", 3),
        assign("last_applied", 3),
        assign("voted_for", 3),
        assign("voted_for", 0),
    ],
    ids=["term-falls", "commit-falls", "applied-falls", "second-vote", "vote-forgotten"],
)
def test_step_backwards_is_seen(damage: Damage) -> None:
    state = node(1, term=3, log="1 2 2 3", commit=4, voted_for=2).state
    before = remember(state)
    damage(state)
    with pytest.raises(AssertionError):
        check_step(before, state)


@pytest.mark.parametrize("terms", ["", "2"], ids=["deleted", "overwritten"])
def test_leader_that_deletes_entries_is_seen(terms: str) -> None:
    """Leader Append-Only (Figure 3)."""
    state = node(1, term=3, log="1 2 3", role="leader").state
    before = remember(state)
    state.log.truncate_from(3)
    state.log.append(entries(terms, 3))
    with pytest.raises(AssertionError):
        check_step(before, state)


def test_vote_of_a_new_term_is_no_second_vote() -> None:
    state = node(1, term=3, log="1", voted_for=2).state
    before = remember(state)
    state.current_term, state.voted_for = 4, 3
    check_step(before, state)
