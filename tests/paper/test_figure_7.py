"""Figure 7: what a new leader may find. Every such log becomes the leader's, in a few round trips (section 5.3)."""

import pytest

from raftwerk.raft.messages import AppendEntries, AppendEntriesReply
from tests.raft.builder import CONFIG, append_entries, node, only, sent

LEADER = "1 1 1 4 4 5 5 6 6 6"
FIGURE = [
    pytest.param("1 1 1 4 4 5 5 6 6", 1, id="a: one entry is missing"),
    pytest.param("1 1 1 4", 1, id="b: many are missing"),
    pytest.param("1 1 1 4 4 5 5 6 6 6 6", 0, id="c: one too many of the same term"),
    pytest.param("1 1 1 4 4 5 5 6 6 6 7 7", 0, id="d: two too many of a later term"),
    pytest.param("1 1 1 4 4 4 4", 2, id="e: missing, and too many of term 4"),
    pytest.param("1 1 1 2 2 2 3 3 3 3 3", 1, id="f: two terms that the leader never saw"),
]


def repair(follower_log: str) -> tuple[str, list[int]]:
    """Let the leader of term 8 bring one follower up to date; return its log, and where the leader was sent back."""
    leader = node(1, term=8, log=LEADER, role="leader")
    follower = node(2, term=7, log=follower_log)
    refused: list[int] = []
    messages = sent(leader.tick(CONFIG.heartbeat_interval_ms), AppendEntries, to=2)
    while messages:
        message = messages.pop(0)
        if not message.needs_reply:
            follower.receive(1, message)
            continue
        reply = only(follower.receive(1, message), AppendEntriesReply, to=1)
        if not reply.success and message.prev_log_index not in refused:
            refused.append(message.prev_log_index)
        messages += sent(leader.receive(2, reply), AppendEntries, to=2)
    return follower.log, refused


@pytest.mark.parametrize(("log", "round_trips"), FIGURE)
def test_follower_takes_over_the_leaders_log(log: str, round_trips: int) -> None:
    """P5.3.2: with a round trip for each conflicting term, and one for a log that is too short."""
    repaired, refused = repair(log)
    assert repaired == f"{LEADER} 8"
    assert len(refused) == round_trips


def test_round_trips_do_not_grow_with_the_number_of_entries() -> None:
    """P5.3.2: two conflicting terms of a hundred entries each."""
    log = " ".join(["1 1 1", *["2"] * 100, *["3"] * 100])
    assert len(repair(log)[1]) <= 2


def test_each_conflicting_term_costs_one_round_trip() -> None:
    """P5.3.2: here leader and follower took turns in terms that the other has not."""
    leader = node(1, term=9, log="1 2 2 4 4 6 6", role="leader")
    follower = node(2, term=8, log="1 3 3 5 5 7 7")
    heartbeat: AppendEntries | None = sent(
        leader.tick(CONFIG.heartbeat_interval_ms), AppendEntries, to=2
    )[0]
    trips = 0
    while heartbeat is not None and follower.log != leader.log:
        reply = only(follower.receive(1, heartbeat), AppendEntriesReply, to=1)
        messages = sent(leader.receive(2, reply), AppendEntries, to=2)
        heartbeat = messages[-1] if messages else None
        trips += 1
    assert follower.log == "1 2 2 4 4 6 6 9"
    assert trips <= 4


@pytest.mark.parametrize(
    ("log", "prev", "expected"),
    [
        pytest.param("1 1 1 4", (10, 6), (5, 0), id="too short: after the last entry"),
        pytest.param("1 1 1 2 2 2 3 3 3 3 3", (10, 6), (7, 3), id="a whole term"),
        pytest.param("2 2 2", (3, 1), (1, 2), id="from the very beginning"),
    ],
)
def test_refusal_says_where_to_go_back_to(
    log: str, prev: tuple[int, int], expected: tuple[int, int]
) -> None:
    """P5.3.1: the conflicting term, and the first index of it."""
    follower = node(2, term=7, log=log)
    reply = only(follower.receive(1, append_entries(8, 1, prev)), AppendEntriesReply, to=1)
    assert (reply.conflict_index, reply.conflict_term) == expected


def test_refusal_does_not_look_behind_the_snapshot() -> None:
    """P5.3.1: the log begins after the snapshot, and so does the conflicting term as far as it is known."""
    follower = node(2, term=7, log="2 2 3", snapshot=(4, 2))
    reply = only(follower.receive(1, append_entries(8, 1, (6, 5))), AppendEntriesReply, to=1)
    assert (reply.conflict_index, reply.conflict_term) == (5, 2)
