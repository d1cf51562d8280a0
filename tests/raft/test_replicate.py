"""The sending side of AppendEntries: what each follower is sent, and when."""

import pytest

from raftwerk.raft.config import Config
from raftwerk.raft.effects import SendChunk
from raftwerk.raft.events import Checkpointed, LinkOpened, TellCommitIndex
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply, ForwardCommands
from raftwerk.raft.progress import Mode
from raftwerk.raft.types import Index
from tests.raft.builder import Node, node, only, receivers, sent


def leader(config: Config | None = None) -> Node:
    """Of term 3; node 2 has everything, of node 3 nothing is known."""
    return node(1, term=3, log="1 1 3", role="leader", acks={2: 3}, config=config or Config())


def indexes(message: AppendEntries) -> list[Index]:
    return [entry.index for entry in message.entries]


def test_heartbeat_goes_to_everybody_and_carries_no_entries() -> None:
    effects = leader().tick(100)
    heartbeats = [message for message in sent(effects, AppendEntries) if not message.entries]
    assert receivers(effects, AppendEntries) == [2, 3]
    assert [message.prev_log_index for message in heartbeats] == [3, 2]


def test_heartbeats_come_an_interval_apart() -> None:
    built = leader()
    assert not built.tick(99).messages
    assert built.tick(1).messages
    assert not built.tick(99).messages


def test_heartbeat_lets_a_lost_probe_be_sent_again() -> None:
    built = leader()
    assert not sent(built.step(), AppendEntries)
    effects = built.tick(100)
    assert [indexes(message) for message in sent(effects, AppendEntries, to=3)] == [[], [3]]


def test_entries_follow_where_the_follower_stands() -> None:
    append = only(leader().propose(b"x"), AppendEntries, to=2)
    assert (append.prev_log_index, append.prev_log_term, indexes(append)) == (3, 3, [4])


def test_pipeline_does_not_wait_for_answers() -> None:
    built = leader()
    built.propose(b"x")
    append = only(built.propose(b"y"), AppendEntries, to=2)
    assert (append.prev_log_index, indexes(append)) == (4, [5])


def test_probe_waits_for_its_answer() -> None:
    built = leader()
    assert not sent(built.propose(b"x"), AppendEntries, to=3)
    effects = built.ack(3, 3)
    assert indexes(only(effects, AppendEntries, to=3)) == [4]


def test_full_window_waits_for_an_answer() -> None:
    built = leader(Config(window_messages_max=2))
    for _ in range(3):
        built.propose(b"x")
    assert len(built.leader.progress[2].in_flight) == 2
    effects = built.ack(2, 4)
    assert indexes(sent(effects, AppendEntries, to=2)[0]) == [6]


def test_one_message_takes_a_bounded_number_of_entries() -> None:
    effects = leader(Config(message_entries_max=2)).propose(b"a", b"b", b"c")
    assert [indexes(message) for message in sent(effects, AppendEntries, to=2)] == [[4, 5], [6]]


def test_one_message_takes_a_bounded_size_and_one_entry_at_least() -> None:
    effects = leader(Config(message_bytes_max=5)).propose(b"aa", b"bbb", b"c" * 50, b"d")
    appends = sent(effects, AppendEntries, to=2)
    assert [indexes(message) for message in appends] == [[4, 5], [6], [7]]


def test_new_commit_index_is_told_at_once() -> None:
    """Not with the next heartbeat: the follower's clients wait for it."""
    built = leader()
    built.propose(b"x")
    effects = built.ack(2, 4)
    assert only(effects, AppendEntries, to=2).leader_commit == 4


def test_commit_index_rides_on_entries_if_there_are_any() -> None:
    built = node(1, term=3, log="1 1 3 3", role="leader", config=Config(window_messages_max=1))
    built.ack(2, 3)
    built.propose(b"x")
    effects = built.ack(2, 4)
    append = only(effects, AppendEntries, to=2)
    assert (indexes(append), append.leader_commit) == ([5], 4)


def test_commit_index_is_told_once() -> None:
    built = leader()
    built.propose(b"x")
    built.ack(2, 4)
    assert not built.step().messages


def patient() -> Node:
    """A leader whose commit_index went up to 4, and who may wait for entries to tell it to node 2."""
    built = leader(Config(tell_commit_after_ms=1))
    built.propose(b"x")
    return built


def test_commit_index_may_wait_for_entries_to_take_it_along() -> None:
    built = patient()
    effects = built.ack(2, 4)
    assert built.state.commit_index == 4
    assert effects.is_commit_untold
    assert not effects.messages
    effects = built.propose(b"y")
    assert only(effects, AppendEntries, to=2).leader_commit == 4
    assert not effects.is_commit_untold


def test_commit_index_that_waited_long_enough_is_told() -> None:
    """It asks for no answer: there is none that would be news."""
    built = patient()
    built.ack(2, 4)
    effects = built.step(TellCommitIndex())
    message = only(effects, AppendEntries, to=2)
    assert (message.leader_commit, message.entries, message.needs_reply) == (4, [], False)
    assert not effects.is_commit_untold
    assert not built.step(TellCommitIndex()).messages


def test_time_to_tell_is_over_with_the_step() -> None:
    """What is committed later waits anew."""
    built = patient()
    built.step(TellCommitIndex())
    assert not built.ack(2, 4).messages


def test_heartbeat_tells_the_commit_index_too() -> None:
    built = patient()
    built.ack(2, 4)
    effects = built.tick(100)
    heartbeat = only(effects, AppendEntries, to=2)
    assert (heartbeat.leader_commit, heartbeat.needs_reply) == (4, True)
    assert not effects.is_commit_untold


def test_who_has_clients_that_wait_is_told_the_commit_index_at_once() -> None:
    """A command that node 2 handed over: its client there has no answer before node 2 knows that it is committed."""
    built = leader(Config(tell_commit_after_ms=1))
    built.ack(3, 3)
    built.receive(2, ForwardCommands(3, 1, [b"x", b"y"]))
    for index in (4, 5):
        effects = built.ack(3, index)
        assert receivers(effects, AppendEntries) == [2]
        assert only(effects, AppendEntries, to=2).leader_commit == index
        assert effects.is_commit_untold, "to node 3"
    built.propose(b"z")
    assert not sent(built.ack(2, 6), AppendEntries), "z is awaited here only"


def test_commands_of_a_former_member_have_nobody_to_tell() -> None:
    built = leader(Config(tell_commit_after_ms=1))
    built.receive(9, ForwardCommands(3, 1, [b"x"]))
    assert built.state.log.last_index == 4


@pytest.mark.parametrize("role", ["follower", "candidate"])
def test_time_to_tell_says_nothing_to_who_does_not_lead(role: str) -> None:
    assert not node(1, term=3, log="1", role=role).step(TellCommitIndex()).messages


def test_commit_index_is_not_told_who_may_not_match() -> None:
    """It could use none of it; the next heartbeat carries it anyway."""
    built = leader()
    built.propose(b"x")
    assert not sent(built.ack(2, 4), AppendEntries, to=3)


def straggler() -> Node:
    """The log is compacted up to 5; node 3 was last heard to hold nothing."""
    built = node(1, term=3, log="1 1 3 3 3 3", role="leader", acks={2: 6}, commit=6,
        config=Config(tail_entries=1))  # fmt: skip
    built.step(Checkpointed(6))
    assert built.state.log.snapshot_index == 5
    return built


def test_who_needs_compacted_entries_is_sent_a_snapshot() -> None:
    built = straggler()
    effects = built.tick(100)
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]
    assert built.leader.progress[3].mode is Mode.SNAPSHOT
    assert not [message for message in sent(effects, AppendEntries, to=3) if message.entries]


def test_heartbeats_go_on_beside_a_snapshot() -> None:
    """They ask about the oldest place that the log still knows."""
    built = straggler()
    built.tick(100)
    built.ack(2, 6)
    heartbeat = only(built.tick(100), AppendEntries, to=3)
    assert (heartbeat.prev_log_index, heartbeat.prev_log_term) == (5, 3)


def test_who_needs_only_what_is_kept_is_sent_entries() -> None:
    built = straggler()
    effects = built.receive(3, AppendEntriesReply(3, True, 5))
    effects = built.tick(100) if not sent(effects, AppendEntries, to=3) else effects
    assert built.leader.progress[3].mode is Mode.REPLICATE
    assert not effects.send_chunks


@pytest.mark.parametrize("peer", [2, 3], ids=["replicate", "probe"])
def test_new_connection_is_used_at_once(peer: int) -> None:
    effects = leader().step(LinkOpened(peer))
    assert receivers(effects, AppendEntries) == [peer]


def test_new_connection_lets_a_lost_probe_be_sent_again() -> None:
    effects = leader().step(LinkOpened(3))
    assert [indexes(message) for message in sent(effects, AppendEntries, to=3)] == [[], [3]]


def test_learners_get_the_log_like_everybody() -> None:
    built = node(1, term=3, log="1 3", role="leader", learners=(4,), acks={4: 2})
    assert indexes(only(built.propose(b"x"), AppendEntries, to=4)) == [3]
