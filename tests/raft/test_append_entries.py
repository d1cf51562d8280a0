"""The box "AppendEntries RPC" of Figure 2: the receiver, and the leader's handling of the reply."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.raft.append_entries import SHORT_LOGS_TOLD
from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply
from raftwerk.raft.progress import Mode
from raftwerk.raft.types import Index, Term
from tests.raft.builder import Node, entries, node, only, sent

MAX_ONE = Config(message_entries_max=1)


def append(
    prev: Index, prev_term: Term, terms: str = "", *, term: Term = 3, commit: Index = 0
) -> AppendEntries:
    return AppendEntries(term, 2, prev, prev_term, entries(terms, prev + 1), commit)


# --- the receiver


@pytest.mark.parametrize(
    ("log", "message", "after", "match_index"),
    [
        ("1 1", append(2, 1, "3"), "1 1 3", 3),
        ("1 1", append(0, 0, "1 1 3"), "1 1 3", 3),
        ("1 1 2 2", append(2, 1, "3"), "1 1 3", 3),
        ("1 1 2 2", append(1, 1, "1 3 3"), "1 1 3 3", 4),
        ("1 1 3 3", append(1, 1, "1 3"), "1 1 3 3", 3),
        ("1 1 3 3", append(2, 1), "1 1 3 3", 2),
        ("", append(0, 0, "1 2 3"), "1 2 3", 3),
        ("", append(0, 0), "", 0),
    ],
    ids=["longer", "overlap", "conflict", "conflict-behind-overlap", "late-and-short", "heartbeat",
        "empty-log", "nothing-at-all"],
)  # fmt: skip
def test_entries_are_appended_where_the_logs_match(
    log: str, message: AppendEntries, after: str, match_index: Index
) -> None:
    """A late message that says less than the log holds deletes nothing: only a conflict does."""
    follower = node(1, term=3, log=log, leader=2)
    effects = follower.receive(2, message)
    assert follower.log == after
    assert only(effects, AppendEntriesReply, to=2) == AppendEntriesReply(3, True, match_index)


@pytest.mark.parametrize(
    ("log", "message", "conflict"),
    [
        ("1 1", append(5, 3, "3"), (3, 0)),
        ("", append(1, 1, "3"), (1, 0)),
        ("1 2 2 2", append(4, 3, "3"), (2, 2)),
        ("2 2", append(1, 1, "3"), (1, 2)),
        ("1 1 2 2", append(2, 2, "3"), (1, 1)),
    ],
    ids=["log-too-short", "log-empty", "other-term", "to-the-beginning", "older-term"],
)
def test_refusal_says_where_the_conflicting_term_begins(
    log: str, message: AppendEntries, conflict: tuple[Index, Term]
) -> None:
    """The term of the conflicting entry and the first index it stores for that term (end of section 5.3)."""
    follower = node(1, term=3, log=log, leader=2)
    effects = follower.receive(2, message)
    assert only(effects, AppendEntriesReply) == AppendEntriesReply(3, False, 0, *conflict)
    assert follower.log == log


@pytest.mark.parametrize(
    ("message", "after", "match_index"),
    [
        (append(1, 1, "1 1"), "2 2", 3),
        (append(2, 1, "1 1 2 2 3"), "2 2 3", 7),
        (append(4, 1, "2 3"), "2 3", 6),
        (append(3, 1, "1 3"), "3", 5),
        (append(4, 1), "2 2", 4),
        (append(2, 1), "2 2", 2),
    ],
    ids=["all-under", "across", "at-the-edge", "conflict-behind", "heartbeat-at-the-edge", "heartbeat-under"],
)  # fmt: skip
def test_what_lies_under_the_own_snapshot_matches(
    message: AppendEntries, after: str, match_index: Index
) -> None:
    """It is committed. Here the log is 1 1 1 1 2 2, compacted up to 4."""
    follower = node(1, term=3, log="2 2", snapshot=(4, 1), leader=2)
    effects = follower.receive(2, message)
    assert follower.log == after
    assert only(effects, AppendEntriesReply) == AppendEntriesReply(3, True, match_index)


def test_backtracking_stops_at_the_own_snapshot() -> None:
    follower = node(1, term=3, log="1 1 1", snapshot=(4, 1), leader=2)
    effects = follower.receive(2, append(7, 3, "3"))
    assert only(effects, AppendEntriesReply).conflict_index == 5


def test_committed_entry_never_conflicts() -> None:
    """Such a message would be proof that safety is lost somewhere: stop rather than go on."""
    follower = node(1, term=3, log="1 1 2", commit=3, leader=2)
    with pytest.raises(AssertionError, match="State Machine Safety"):
        follower.receive(2, append(2, 1, "3"))


def test_two_leaders_in_one_term_are_a_bug() -> None:
    leader = node(1, term=3, log="1 3", role="leader")
    with pytest.raises(AssertionError, match="Election Safety"):
        leader.receive(2, append(2, 3))


@pytest.mark.parametrize("message", [append(2, 3), append(7, 3)], ids=["success", "refusal"])
def test_reply_repeats_the_read_round(message: AppendEntries) -> None:
    """A refusal acknowledges the leadership as well as a success."""
    asked = AppendEntries(3, 2, message.prev_log_index, message.prev_log_term, [], 0, read_round=8)
    effects = node(1, term=3, log="1 3", leader=2).receive(2, asked)
    assert only(effects, AppendEntriesReply).read_round == 8


def test_message_that_needs_no_reply_is_answered_only_by_who_does_not_match() -> None:
    follower = node(1, term=3, log="1 1")
    told = replace(append(2, 1, commit=2), needs_reply=False)
    assert not follower.receive(2, told).messages
    assert follower.state.commit_index == 2
    ahead = replace(append(3, 3, commit=3), needs_reply=False)
    assert only(follower.receive(2, ahead), AppendEntriesReply).conflict_index == 3


def test_stale_leader_is_told_the_new_term_and_nothing_else() -> None:
    follower = node(1, term=3, log="1 1", leader=3)
    asked = AppendEntries(2, 2, 2, 1, entries("2", 3), 2, read_round=8)
    effects = follower.receive(2, asked)
    assert only(effects, AppendEntriesReply) == AppendEntriesReply(3, False, 0)
    assert (follower.log, follower.state.leader_id) == ("1 1", 3)


# --- the leader: successes


def leader(log: str = "1 1 2 3 3", commit: Index = 0, config: Config = MAX_ONE) -> Node:
    return node(1, term=3, log=log, role="leader", commit=commit, config=config)


def refusal(index: Index, term: Term = 0) -> AppendEntriesReply:
    return AppendEntriesReply(3, False, 0, index, term)


def test_success_updates_next_index_and_match_index() -> None:
    built = leader()
    built.ack(2, 4)
    progress = built.leader.progress[2]
    assert (progress.match_index, progress.mode) == (4, Mode.REPLICATE)
    assert progress.next_index == 6, "the rest was sent at once"


def test_late_success_takes_nothing_back() -> None:
    built = leader()
    built.ack(2, 5)
    built.ack(2, 3)
    assert built.leader.progress[2].match_index == 5


def test_success_below_the_probe_is_followed_by_the_next_probe() -> None:
    """The follower's disk is behind: the rest of the match is not vouched for yet."""
    built = leader()
    effects = built.ack(2, 2)
    assert built.leader.progress[2].mode is Mode.PROBE
    assert only(effects, AppendEntries, to=2).prev_log_index == 3


def test_success_that_is_no_news_is_not_followed_by_a_probe() -> None:
    """Or two nodes would exchange them as fast as they can."""
    built = leader()
    built.ack(2, 2)
    assert not sent(built.ack(2, 2), AppendEntries, to=2)


def test_match_beyond_the_own_log_is_not_believed() -> None:
    built = leader()
    built.ack(2, 99)
    assert built.leader.progress[2].match_index == 5


@pytest.mark.parametrize(("sender", "term"), [(9, 3), (2, 2)], ids=["stranger", "older-term"])
def test_reply_from_elsewhere_says_nothing(sender: int, term: Term) -> None:
    """An answer counts in the term it was given in; who is no member is not counted."""
    built = leader()
    assert built.receive(sender, AppendEntriesReply(term, True, 5)) == Effects()
    assert built.leader.progress[2].match_index == 0


def test_reply_to_a_former_leader_says_nothing() -> None:
    assert node(1, term=3, log="1 3", leader=2).ack(2, 2) == Effects()


# --- the leader: refusals


@pytest.mark.parametrize(
    ("reply", "next_index"),
    [
        (refusal(1), 1),
        (refusal(3), 3),
        (refusal(1, 1), 3),
        (refusal(2, 2), 4),
        (refusal(4, 2), 4),
    ],
    ids=["empty", "shorter", "has-that-term", "has-that-term-once", "begins-later"],
)  # fmt: skip
def test_leader_goes_back_a_whole_term_at_a_time(
    reply: AppendEntriesReply, next_index: Index
) -> None:
    """To behind its own last entry of the conflicting term if it has one, else to where that term begins."""
    effects = leader().receive(2, reply)
    assert only(effects, AppendEntries, to=2).prev_log_index == next_index - 1


@pytest.mark.parametrize(("conflict_index", "next_index"), [(2, 2), (4, 3)])
def test_leader_without_the_conflicting_term_goes_back_before_it(
    conflict_index: Index, next_index: Index
) -> None:
    """Neither its log nor the follower's can match within that term. Here the leader never had term 2."""
    built = node(1, term=4, log="1 1 3 3 4", role="leader")
    effects = built.receive(2, AppendEntriesReply(4, False, 0, conflict_index, 2))
    assert only(effects, AppendEntries, to=2).prev_log_index == next_index - 1


@pytest.mark.parametrize("conflict_index", [3, 4], ids=["below", "at"])
def test_refusal_within_the_match_is_late(conflict_index: Index) -> None:
    """The match is durable at the follower: it was overtaken."""
    built = leader()
    built.ack(2, 4)
    built.receive(2, refusal(conflict_index))
    assert built.leader.progress[2].mode is Mode.REPLICATE


def test_follower_that_lost_what_it_acknowledged_is_told_of_once() -> None:
    built = leader()
    built.ack(2, 4)
    told = [built.receive(2, refusal(3)).notices for _ in range(2 * SHORT_LOGS_TOLD)]
    (told_of,) = [one for notices in told for one in notices]
    assert told.index([told_of]) == SHORT_LOGS_TOLD - 1
    assert (told_of.facts["peer"], told_of.facts["last_index"], told_of.facts["acknowledged"]) == (
        2,
        2,
        4,
    )


def test_follower_whose_refusals_were_overtaken_lost_nothing() -> None:
    built = leader()
    for _ in range(SHORT_LOGS_TOLD):
        built.ack(2, 4)
        assert not built.receive(2, refusal(3)).notices


def test_conflicting_term_may_begin_within_the_match() -> None:
    """The follower's log goes on in the term of its match, and what was to replace that was lost: it goes again."""
    built = node(1, term=4, log="1 3 3 4", role="leader", config=Config())
    built.ack(2, 3)
    built.propose(b"a")
    effects = built.receive(2, AppendEntriesReply(4, False, 0, conflict_index=2, conflict_term=3))
    again = only(effects, AppendEntries, to=2)
    assert (again.prev_log_index, [entry.index for entry in again.entries]) == (3, [4, 5])


def test_refusal_above_what_was_asked_is_late() -> None:
    built = leader()
    built.receive(2, refusal(2))
    built.receive(2, refusal(4))
    assert built.leader.progress[2].next_index == 2


def test_refusal_ends_the_pipeline() -> None:
    """What was sent after the lost message is lost as well."""
    built = leader(config=Config())
    built.ack(2, 4)
    built.propose(b"a")
    built.propose(b"b")
    effects = built.receive(2, refusal(6))
    append_again = only(effects, AppendEntries, to=2)
    assert [entry.index for entry in append_again.entries] == [6, 7]
    assert built.leader.progress[2].mode is Mode.PROBE


logs = st.lists(st.integers(0, 1), max_size=12)


@given(shared=logs, mine=logs, its=logs, floor=st.integers(0, 30))
def test_any_two_logs_are_brought_together_within_a_message_per_term(
    shared: list[int], mine: list[int], its: list[int], floor: int
) -> None:
    """Raft never needs more than one refusal per term of either log (end of section 5.3)."""

    def terms(rises: list[int], first: int, step: int) -> list[Term]:
        return [first + 2 * sum(rises[: n + 1]) + step for n in range(len(rises))]

    common = terms(shared, 1, 0)
    base = common[-1] if common else 1
    left = common + terms(mine, base + 1, 0)
    right = common + terms(its, base + 2, 0)
    term = max([*left, *right, 1]) + 1
    snapshot_index = min(floor, len(common))
    snapshot_term = common[snapshot_index - 1] if snapshot_index else 0
    a = node(1, term=term, log=" ".join(map(str, left)), role="leader")
    b = node(2, term=term, log=" ".join(map(str, right[snapshot_index:])),
        snapshot=(snapshot_index, snapshot_term))  # fmt: skip
    exchanges = 0
    to_follower = sent(a.tick(100), AppendEntries, to=2)
    while a.leader.progress[2].match_index < a.state.log.last_index:
        exchanges += 1
        assert exchanges <= 2 * len({*left, *right}) + 3
        replies = [
            reply
            for message in to_follower
            for reply in sent(b.receive(1, message), AppendEntriesReply)
        ]
        to_follower = [
            message
            for reply in replies
            for message in sent(a.receive(2, reply), AppendEntries, to=2)
        ]
    assert b.entries == a.entries[snapshot_index:]
