"""Figure 2, the box "AppendEntries RPC": the receiver's rules 1 to 5."""

import pytest

from raftwerk.raft.effects import Effects
from raftwerk.raft.messages import AppendEntriesReply
from tests.raft.builder import Node, append_entries, node, only


def receive(
    follower: Node, prev: tuple[int, int], new: str = "", commit: int = 0
) -> AppendEntriesReply:
    """The answer to what node 2, the leader of the follower's term, sends."""
    rpc = append_entries(follower.state.current_term, 2, prev, new, commit)
    return only(follower.receive(2, rpc), AppendEntriesReply, to=2)


def test_older_term_is_refused() -> None:
    """F2.AE.1: a leader of the past changes nothing, and learns the present term."""
    follower = node(1, term=5, log="1 2", leader=3)
    effects: Effects = follower.receive(2, append_entries(4, 2, prev=(2, 2), new="4", commit=2))
    assert only(effects, AppendEntriesReply, to=2) == AppendEntriesReply(5, False, 0)
    assert follower.log == "1 2"
    assert (follower.state.leader_id, follower.state.commit_index) == (3, 0)


def test_older_term_does_not_put_off_the_election() -> None:
    """F2.AE.1: only the current leader keeps a follower waiting."""
    follower = node(1, term=5, leader=3)
    follower.tick(999)
    follower.receive(2, append_entries(4, 2))
    follower.tick(1001)
    assert follower.role == "PreCandidate"


@pytest.mark.parametrize(
    "prev",
    [
        pytest.param((3, 2), id="log is too short"),
        pytest.param((2, 2), id="another term"),
        pytest.param((2, 3), id="a newer term"),
    ],
)
def test_refused_when_the_log_does_not_match_at_prev(prev: tuple[int, int]) -> None:
    """F2.AE.2: without an entry of prev_log_term at prev_log_index nothing is appended."""
    follower = node(1, term=3, log="1 1", leader=2)
    reply = receive(follower, prev, new="3", commit=3)
    assert not reply.success
    assert follower.log == "1 1"
    assert follower.state.commit_index == 0


@pytest.mark.parametrize(
    ("log", "prev"),
    [
        pytest.param("", (0, 0), id="beginning of time"),
        pytest.param("1 1", (2, 1), id="last entry"),
        pytest.param("1 1 2 2", (2, 1), id="in the middle"),
    ],
)
def test_accepted_when_the_log_matches_at_prev(log: str, prev: tuple[int, int]) -> None:
    """F2.AE.2: the match at prev_log_index is all that is asked for."""
    reply = receive(node(1, term=3, log=log, leader=2), prev, new="3")
    assert (reply.success, reply.match_index) == (True, prev[0] + 1)


def test_match_at_the_edge_of_the_snapshot() -> None:
    """F2.AE.2: the term of the last compacted entry is still known, and checked."""
    follower = node(1, term=3, snapshot=(5, 2), leader=2)
    assert receive(follower, (5, 2), new="3").success
    assert follower.log == "3"


@pytest.mark.parametrize(
    ("log", "prev", "new", "expected"),
    [
        pytest.param("1 1 2 2 2", (2, 1), "3", "1 1 3", id="all that follow go"),
        pytest.param("1 1 2 2", (3, 2), "3", "1 1 2 3", id="the last one goes"),
        pytest.param("1 2 2", (0, 0), "1 1 3", "1 1 3", id="found in mid-message"),
    ],
)
def test_conflicting_entry_and_its_successors_are_deleted(
    log: str, prev: tuple[int, int], new: str, expected: str
) -> None:
    """F2.AE.3: same index, another term: the follower's entry is wrong, and so is all after it."""
    follower = node(1, term=3, log=log, leader=2)
    assert receive(follower, prev, new).success
    assert follower.log == expected


def test_deletion_is_written_with_what_replaces_it() -> None:
    """F2.AE.3: the disk deletes and appends in one atomic step."""
    follower = node(1, term=3, log="1 1 2 2", leader=2)
    persist = follower.receive(2, append_entries(3, 2, prev=(2, 1), new="3 3")).persist
    assert persist is not None
    assert persist.truncate_from == 3
    assert [(entry.index, entry.term) for entry in persist.entries] == [(3, 3), (4, 3)]


def test_committed_entry_never_gives_way() -> None:
    """F2.AE.3: a leader that contradicts a committed entry cannot exist; the node stops rather than obey."""
    follower = node(1, term=3, log="1 1", commit=2, leader=2)
    with pytest.raises(AssertionError, match="State Machine Safety"):
        follower.receive(2, append_entries(3, 2, prev=(1, 1), new="3"))


@pytest.mark.parametrize(
    ("log", "prev", "new", "expected"),
    [
        pytest.param("", (0, 0), "1 1", "1 1", id="to an empty log"),
        pytest.param("1 1", (2, 1), "2 3", "1 1 2 3", id="at the end"),
        pytest.param("1 1 2", (1, 1), "1 2 3", "1 1 2 3", id="the new part of it"),
    ],
)
def test_new_entries_are_appended(log: str, prev: tuple[int, int], new: str, expected: str) -> None:
    """F2.AE.4: those that the log does not have yet, and each once."""
    follower = node(1, term=3, log=log, leader=2)
    reply = receive(follower, prev, new)
    assert follower.log == expected
    assert reply.match_index == follower.state.log.last_index


@pytest.mark.parametrize(
    ("leader_commit", "new", "expected"),
    [
        pytest.param(2, "3 3", 2, id="leader's"),
        pytest.param(9, "3 3", 4, id="last new entry"),
        pytest.param(9, "", 2, id="heartbeat: what is known to match"),
        pytest.param(0, "3 3", 1, id="never backwards"),
    ],
)
def test_commit_index_follows_the_leader(leader_commit: int, new: str, expected: int) -> None:
    """F2.AE.5: the smaller of leader_commit and the last new entry; what lies beyond is not known to match."""
    follower = node(1, term=3, log="1 1 2", commit=1, leader=2)
    receive(follower, (2, 1), new, commit=leader_commit)
    assert follower.state.commit_index == expected


def test_commit_index_never_falls_behind_by_an_old_message() -> None:
    """F2.AE.5: a short message that was overtaken does not take commitment back."""
    follower = node(1, term=3, log="3 3 3", commit=3, leader=2)
    receive(follower, (0, 0), "3", commit=9)
    assert follower.state.commit_index == 3
