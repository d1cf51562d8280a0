"""Figure 13, the InstallSnapshot RPC: the leader's end."""

from raftwerk.raft.config import Config
from raftwerk.raft.effects import Effects, SendChunk
from raftwerk.raft.events import Checkpointed, LinkOpened
from raftwerk.raft.messages import AppendEntries, AppendEntriesReply, InstallSnapshotReply
from raftwerk.raft.progress import Mode
from raftwerk.raft.types import Index
from tests.raft.builder import Node, node, only, sent

NO_TAIL = Config(tail_entries=0)


def reply(
    next_offset: int = 0, *, index: Index = 9, installed: bool = False
) -> InstallSnapshotReply:
    return InstallSnapshotReply(3, index, next_offset, installed)


def leader_of_a_straggler(last: Index = 12) -> Node:
    """Node 1 leads term 3, has compacted up to `last` - 2, and knows that node 3 has none of it."""
    log = " ".join(["1"] * 4 + ["3"] * (last - 4))
    built = node(1, term=3, log=log, role="leader", acks={2: last}, commit=last, config=NO_TAIL)
    built.step(Checkpointed(last - 2))
    built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    assert built.leader.progress[3].mode is Mode.SNAPSHOT
    return built


def test_leader_opens_a_snapshot_for_who_needs_compacted_entries() -> None:
    built = node(1, term=3, log="1 3 3", role="leader", acks={2: 3}, commit=3, config=NO_TAIL)
    built.step(Checkpointed(3))
    effects = built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]
    assert not sent(effects, AppendEntries, to=3)


def test_leader_sends_the_byte_that_is_asked_for() -> None:
    effects = leader_of_a_straggler().receive(3, reply(700))
    assert effects.send_chunks == [SendChunk(3, 3, 9, 700)]


def test_leader_sends_a_byte_once_for_two_equal_answers() -> None:
    """Or two streams would run side by side to their end."""
    effects = leader_of_a_straggler().receive(3, reply(700), reply(700))
    assert len(effects.send_chunks) == 1


def test_leader_starts_again_when_the_receiver_does_after_an_election_timeout() -> None:
    """Who has no room for it refuses the first bytes again: at once that would go on and on, as fast as both can."""
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    refused = built.receive(3, reply(0))
    assert (refused.send_chunks, refused.close_snapshots) == ([], [3])
    built.tick(500)
    built.ack(3, 0)
    assert not built.tick(499).send_chunks
    assert built.tick(1).send_chunks == [SendChunk(3, 3, 0, 0)]


def waited_ms(built: Node) -> int:
    """Until the next chunk for node 3, which is heard all the time; so is node 2."""
    waited = 0
    while True:
        built.ack(2, 12)
        built.ack(3, 0)
        waited += 100
        if built.tick(100).send_chunks:
            return waited


def test_leader_waits_longer_with_each_refusal_of_a_snapshot() -> None:
    """As long as the disk is full the follower takes as much of the store as there is room for, in vain."""
    built = leader_of_a_straggler()
    waits = []
    for _ in range(6):
        built.receive(3, reply(700))
        built.receive(3, reply(0), reply(0))
        waits.append(waited_ms(built))
    assert waits == [1000, 2000, 4000, 8000, 16_000, 16_000]
    built.receive(3, reply(700))
    assert waited_ms(built) == 1000, "a chunk that is not answered is another matter"


def test_the_pause_begins_with_the_refusal() -> None:
    """To install it, in vain, may have taken long."""
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    built.tick(900)
    built.receive(3, reply(0))
    assert waited_ms(built) == 1000


def test_refused_snapshot_keeps_no_entries_in_the_log() -> None:
    """The next one is newer."""
    built = leader_of_a_straggler(14)
    built.receive(3, reply(700, index=12))
    built.step(Checkpointed(14))
    assert built.state.log.snapshot_index == 12
    built.receive(3, reply(0, index=12))
    built.step(Checkpointed(14))
    assert built.state.log.snapshot_index == 14


def test_refusals_are_forgotten_with_the_snapshot() -> None:
    built = leader_of_a_straggler()
    for _ in range(3):
        built.receive(3, reply(0))
        waited_ms(built)
    built.receive(3, reply(index=8, installed=True))
    built.receive(3, reply(700), reply(0))
    assert waited_ms(built) == 1000


def test_refused_snapshot_is_offered_at_once_on_a_new_connection() -> None:
    """The process was started again, perhaps with a larger disk."""
    built = leader_of_a_straggler()
    built.receive(3, reply(0))
    waited_ms(built)
    built.receive(3, reply(0))
    assert built.step(LinkOpened(3)).send_chunks == [SendChunk(3, 3, 0, 0)]


def test_leader_repeats_a_chunk_that_was_not_answered_for_an_election_timeout() -> None:
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    built.tick(500)
    built.ack(3, 0)
    assert not built.tick(499).send_chunks
    assert built.tick(1).send_chunks == [SendChunk(3, 3, 9, 700)]
    assert not built.tick(1).send_chunks


def test_leader_closes_the_stream_of_a_silent_follower_until_it_is_heard() -> None:
    """An open stream keeps the state machine from reusing its space: a dead follower must not hold one."""
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    built.tick(999)
    built.ack(2, 12)
    assert built.tick(1).close_snapshots == [3]
    for _ in range(3):
        built.ack(2, 12)
        silence = built.tick(900)
        assert (silence.send_chunks, silence.close_snapshots) == ([], [])
    built.ack(3, 0)
    assert built.tick(1).send_chunks == [SendChunk(3, 3, 0, 0)]


def test_leader_opens_no_snapshot_for_a_silent_follower() -> None:
    built = node(1, term=3, log="1 3 3", role="leader", acks={2: 3}, commit=3, config=NO_TAIL)
    built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    built.tick(999)
    built.ack(2, 3)
    built.tick(1)
    built.step(Checkpointed(3))
    assert not built.tick(100).send_chunks
    effects = built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]


def test_leader_repeats_a_chunk_on_a_new_connection() -> None:
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    assert built.step(LinkOpened(3)).send_chunks == [SendChunk(3, 3, 9, 700)]


def test_leader_goes_on_with_the_log_when_the_snapshot_is_installed() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(3, reply(index=10, installed=True))
    assert effects.close_snapshots == [3]
    append = only(effects, AppendEntries, to=3)
    assert (append.prev_log_index, len(append.entries)) == (10, 2)
    assert built.leader.progress[3].match_index == 10


def test_leader_sends_the_next_snapshot_when_the_first_is_outdated() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(3, reply(index=8, installed=True))
    assert effects.close_snapshots == [3]
    assert effects.send_chunks == [SendChunk(3, 3, 0, 0)]


def test_leader_stops_the_stream_when_the_follower_got_there_another_way() -> None:
    built = leader_of_a_straggler()
    effects = built.ack(3, 10)
    assert effects.close_snapshots == [3]
    assert built.leader.progress[3].mode is Mode.REPLICATE


def test_match_before_the_snapshot_does_not_stop_the_stream() -> None:
    built = leader_of_a_straggler()
    assert not built.ack(3, 9).close_snapshots
    assert built.leader.progress[3].mode is Mode.SNAPSHOT


def test_refused_heartbeat_does_not_stop_the_stream() -> None:
    """The follower's log is as short as before."""
    built = leader_of_a_straggler()
    built.receive(3, reply(700))
    built.receive(3, AppendEntriesReply(3, False, 0, conflict_index=1))
    progress = built.leader.progress[3]
    assert (progress.mode, progress.snapshot_offset) == (Mode.SNAPSHOT, 700)


def test_leader_closes_all_streams_when_it_steps_down() -> None:
    built = leader_of_a_straggler()
    effects = built.receive(2, AppendEntries(4, 2, 12, 3, [], 12))
    assert 3 in effects.close_snapshots


def test_answer_of_any_kind_is_a_sign_of_life() -> None:
    built = leader_of_a_straggler()
    built.tick(900)
    built.receive(3, reply(700))
    built.tick(900)
    assert built.role == "Leader"


def test_answer_of_an_older_term_says_nothing() -> None:
    effects = leader_of_a_straggler().receive(3, InstallSnapshotReply(2, 9, 700, False))
    assert not effects.send_chunks


def test_answer_to_a_stream_that_is_over_says_nothing() -> None:
    built = leader_of_a_straggler()
    built.ack(3, 12)
    effects = built.receive(3, reply(700), reply(index=10, installed=True))
    assert effects.send_chunks == effects.close_snapshots == []
    assert built.leader.progress[3].match_index == 12


def test_answer_of_a_stranger_says_nothing() -> None:
    assert leader_of_a_straggler().receive(9, reply(700)).send_chunks == []


def test_answer_to_a_former_leader_says_nothing() -> None:
    assert node(1, term=3, leader=2).receive(3, reply(700)) == Effects()
