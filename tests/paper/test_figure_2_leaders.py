"""Figure 2, "Rules for Servers", leaders."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Proposed
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply, RequestVoteReply
from raftwerk.raft.progress import Mode
from tests.raft.builder import CONFIG, Node, command, node, only, receivers, sent


def conflict(leader: Node, sender: int, index: int, term: int = 0) -> AppendEntriesReply:
    """What a follower says whose log does not match: go back to `index`, my entry there is of `term`."""
    return AppendEntriesReply(leader.state.current_term, False, 0, index, term)


def match_index(leader: Node, peer: int) -> int:
    return leader.leader.progress[peer].match_index


def next_index(leader: Node, peer: int) -> int:
    return leader.leader.progress[peer].next_index


def test_heartbeat_is_an_empty_append_entries() -> None:
    """F2.LEA.1: it says who leads, checks the match, and tells of commitment, to everybody who gets the log."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader", learners=(4,), acks={3: 2})
    effects = leader.tick(CONFIG.heartbeat_interval_ms)
    assert receivers(effects, AppendEntries) == [2, 3, 4]
    assert only(effects, AppendEntries, to=3) == AppendEntries(2, 1, 2, 2, [], 2)


def test_election_is_announced_at_once() -> None:
    """F2.LEA.1a: the others hear of the new leader before they time out."""
    candidate = node(1, term=2, log="1", role="candidate")
    effects = candidate.receive(3, RequestVoteReply(2, True))
    for peer in (2, 3):
        assert sent(effects, AppendEntries, to=peer)[0] == AppendEntries(2, 1, 1, 1, [], 0)


def test_heartbeats_go_on_while_nothing_happens() -> None:
    """F2.LEA.1b: one in each heartbeat interval."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader", acks={2: 2, 3: 2})
    assert not leader.tick(CONFIG.heartbeat_interval_ms - 1).messages
    assert receivers(leader.tick(1), AppendEntries) == [2, 3]
    assert not leader.tick(CONFIG.heartbeat_interval_ms - 1).messages
    assert receivers(leader.tick(1), AppendEntries) == [2, 3]


def test_command_is_appended_to_the_leaders_log() -> None:
    """F2.LEA.2: with the leader's term; the client is told which entry to wait for."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader")
    effects = leader.propose(b"x", b"y", request=7)
    assert [(e.index, e.term, e.command) for e in leader.entries[2:]] == [
        (3, 2, b"x"),
        (4, 2, b"y"),
    ]
    assert effects.proposed == [Proposed(request=7, first_index=3, term=2, count=2)]


def test_command_is_executed_after_a_majority_has_it() -> None:
    """F2.LEA.2: and not before, so that the client's answer is final."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader")
    assert not leader.propose(b"x").committed
    assert [entry.command for entry in leader.ack(3, 3).committed] == [b"x"]


def test_follower_is_sent_what_it_lacks() -> None:
    """F2.LEA.3: the entries from next_index on."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader", acks={2: 2})
    effects = leader.propose(b"x")
    message = only(effects, AppendEntries, to=2)
    assert (message.prev_log_index, message.prev_log_term) == (2, 2)
    assert [entry.command for entry in message.entries] == [b"x"]


def test_follower_that_lacks_nothing_is_sent_nothing() -> None:
    """F2.LEA.3: only if last log index >= next_index."""
    leader = node(1, term=2, log="1 2", commit=2, role="leader", acks={2: 2, 3: 2})
    assert not leader.step().messages


def test_entries_go_in_messages_of_bounded_size() -> None:
    """F2.LEA.3: as many messages as it takes, each starting where the last one ended."""
    config = Config(message_entries_max=2)
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1}, config=config)
    messages = sent(leader.propose(b"a", b"b", b"c"), AppendEntries, to=2)
    assert [(m.prev_log_index, len(m.entries)) for m in messages] == [(1, 2), (3, 1)]


def test_success_moves_both_indexes() -> None:
    """F2.LEA.3a: match_index is what the follower vouches for, next_index follows it."""
    leader = node(1, term=2, log="1 1 2", role="leader")
    leader.ack(2, 3)
    assert (match_index(leader, 2), next_index(leader, 2)) == (3, 4)


def test_match_index_never_falls() -> None:
    """F2.LEA.3a: a late answer to an older message takes nothing back."""
    leader = node(1, term=2, log="1 1 2", role="leader", acks={2: 3})
    leader.ack(2, 1)
    assert (match_index(leader, 2), next_index(leader, 2)) == (3, 4)


def test_failure_goes_back_and_tries_again() -> None:
    """F2.LEA.3b: next_index falls to where the follower's log ends, and the next message starts there."""
    leader = node(1, term=2, log="1 1 1 2", role="leader")
    effects = leader.receive(3, conflict(leader, 3, index=2))
    assert next_index(leader, 3) == 2
    message = only(effects, AppendEntries, to=3)
    assert (message.prev_log_index, message.prev_log_term) == (1, 1)
    assert [entry.index for entry in message.entries] == [2, 3, 4]


def test_failure_never_goes_behind_the_match() -> None:
    """F2.LEA.3b: a late refusal does not undo what is known to match."""
    leader = node(1, term=2, log="1 1 1 2", role="leader", acks={3: 4})
    leader.receive(3, conflict(leader, 3, index=2))
    assert (match_index(leader, 3), next_index(leader, 3)) == (4, 5)
    assert leader.leader.progress[3].mode is Mode.REPLICATE


def test_refusal_of_a_lost_pipeline_is_repaired() -> None:
    """F2.LEA.3b: messages under way were lost; the refused heartbeat shows where to start again."""
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1, 3: 1})
    leader.propose(b"a")
    leader.propose(b"b")
    effects = leader.receive(2, conflict(leader, 2, index=2))
    assert [entry.command for entry in only(effects, AppendEntries, to=2).entries] == [b"a", b"b"]


def test_late_refusal_to_a_probe_whose_entries_are_compacted_now() -> None:
    """F2.LEA.3b: the follower's answer is older than the leader's snapshot; the snapshot is sent."""
    config = Config(tail_entries=0)
    leader = node(1, term=4, log="1 1 1 1 1 4", commit=6, role="leader", config=config)
    leader.receive(3, conflict(leader, 3, index=4))  # a probe at 3, answered after the checkpoint
    leader.checkpoint(6)
    effects = leader.receive(3, conflict(leader, 3, index=2, term=3))
    assert [ask.to for ask in effects.send_chunks] == [3]


@pytest.mark.parametrize(
    ("acks", "voters", "expected"),
    [
        pytest.param({}, (1, 2, 3), 0, id="nobody else has it"),
        pytest.param({2: 4}, (1, 2, 3), 4, id="two of three"),
        pytest.param({2: 3, 3: 4}, (1, 2, 3), 4, id="the faster of two"),
        pytest.param({2: 4}, (1, 2, 3, 4), 0, id="half is no majority"),
        pytest.param({2: 4, 3: 3}, (1, 2, 3, 4, 5), 3, id="three of five"),
        pytest.param({2: 4, 3: 4, 4: 3}, (1, 2, 3, 4, 5), 4, id="four of five"),
    ],
)
def test_commit_index_is_what_a_majority_has(
    acks: dict[int, int], voters: tuple[int, ...], expected: int
) -> None:
    """F2.LEA.4: the highest N that a majority has matched."""
    leader = node(1, term=2, log="1 1 2 2", role="leader", voters=voters)
    for peer, index in acks.items():
        leader.ack(peer, index)
    assert leader.state.commit_index == expected


def test_entry_of_an_older_term_is_not_committed_by_counting() -> None:
    """P5.4.2 in F2.LEA.4: a majority has entry 3 of term 1; that does not make it safe (Figure 8)."""
    leader = node(1, term=2, log="1 1 1", role="leader")
    leader.ack(2, 3)
    assert leader.state.commit_index == 0
    leader.ack(2, 4)
    assert leader.state.commit_index == 4


def test_commitment_is_told_at_once() -> None:
    """F2.LEA.4: followers that are up to date need not wait for the next heartbeat."""
    leader = node(1, term=2, log="2", commit=1, role="leader", acks={2: 1, 3: 1})
    leader.propose(b"x")
    effects = leader.ack(2, 2)
    assert leader.entries[1] == command(2, 2)._replace(command=b"x")
    assert only(effects, AppendEntries, to=3).leader_commit == 2
