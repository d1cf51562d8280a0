"""Chunks of a state for a follower, and the restoring of a leader's."""

from itertools import count

import pytest

from raftwerk.errors import DiskFailed, DiskFull
from raftwerk.raft.effects import SendChunk
from raftwerk.raft.events import SnapshotInstalled, SnapshotRejected
from raftwerk.raft.messages import InstallSnapshot
from raftwerk.replica.checkpoints import INTERVAL_MS, Checkpoints
from raftwerk.replica.position import Position
from raftwerk.replica.snapshots import SnapshotReceiver, SnapshotSender
from tests.replica.fakes import FakeBackground, ListMachine


def machine_with(*commands: bytes, index: int) -> ListMachine:
    machine = ListMachine()
    machine.apply(commands, index, Position(index, 3, b"members").encode())
    machine.durable = (list(machine.commands), machine.position)
    return machine


def all_chunks(sender: SnapshotSender, index: int) -> list[InstallSnapshot]:
    chunks = [sender.chunk(SendChunk(2, 5, 0, 0))]
    while not chunks[-1].done:
        offset = chunks[-1].offset + len(chunks[-1].data)
        chunks.append(sender.chunk(SendChunk(2, 5, index, offset)))
    return chunks


class Receiving:
    def __init__(self, last_applied: int = 0) -> None:
        self.machine = ListMachine()
        self.background = FakeBackground()
        self.checkpoints = Checkpoints(
            self.machine, self.background, lambda _: None, count().__next__, phase=1.0
        )
        self.posted: list[SnapshotInstalled | SnapshotRejected] = []
        self.last_applied = last_applied
        self.receiver = SnapshotReceiver(
            self.machine,
            self.background,
            self.checkpoints,
            lambda: self.last_applied,
            self.posted.append,
        )

    def receive(self, *chunks: InstallSnapshot) -> None:
        for chunk in chunks:
            self.receiver.receive(chunk)
        self.background.run_jobs()


def test_a_state_arrives_whole() -> None:
    source = machine_with(b"a", b"b", b"c", index=9)
    chunks = all_chunks(SnapshotSender(1, source), 9)
    assert len(chunks) > 3
    assert {(chunk.last_included_index, chunk.last_included_term) for chunk in chunks} == {(9, 3)}
    receiving = Receiving()
    receiving.receive(*chunks)
    assert receiving.machine.commands == [b"a", b"b", b"c"]
    assert receiving.machine.position == source.position
    assert receiving.posted == [SnapshotInstalled(9)]


def test_a_lost_chunk_can_be_read_again() -> None:
    sender = SnapshotSender(1, machine_with(b"a", b"b", index=9))
    first = sender.chunk(SendChunk(2, 5, 0, 0))
    second = sender.chunk(SendChunk(2, 5, 9, len(first.data)))
    assert sender.chunk(SendChunk(2, 5, 9, len(first.data))) == second


def test_an_offset_that_cannot_be_read_begins_a_fresh_stream() -> None:
    source = machine_with(b"a", b"b", index=9)
    sender = SnapshotSender(1, source)
    sender.chunk(SendChunk(2, 5, 0, 0))
    assert sender.chunk(SendChunk(2, 5, 9, 1000)).offset == 0
    assert sender.chunk(SendChunk(2, 5, 8, 7)).offset == 0, "another snapshot was meant"
    assert source.open_readers == 1
    sender.close(2)
    assert source.open_readers == 0


def test_a_damaged_stream_is_rejected() -> None:
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", b"b", index=9)), 9)
    receiving = Receiving()
    receiving.receive(*chunks[:1], chunks[-1])
    assert receiving.posted == [SnapshotRejected(9, "the stream ends too early")]
    assert receiving.machine.commands == []


def test_a_state_that_the_log_has_overtaken_is_never_installed() -> None:
    """Nothing is appended meanwhile: who goes back in time all the same has a bug, and stops."""
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", index=9)), 9)
    receiving = Receiving(last_applied=9)
    with pytest.raises(AssertionError, match="back in time"):
        receiving.receive(*chunks)
    assert receiving.machine.commands == []


def test_what_a_new_state_replaced_is_removed_piece_by_piece() -> None:
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", index=9)), 9)
    receiving = Receiving()
    receiving.receive(*chunks)
    (writer,) = receiving.machine.writers
    assert writer.pieces_left == 0


def test_what_was_given_up_is_removed_while_the_next_stream_arrives() -> None:
    """In the background, one piece at a time: nobody waits for all of it."""
    old = all_chunks(SnapshotSender(1, machine_with(b"old", index=8)), 8)
    new = all_chunks(SnapshotSender(1, machine_with(b"new", index=9)), 9)
    receiving = Receiving()
    for chunk in (*old[:2], new[0]):
        receiving.receiver.receive(chunk)
    given_up, _ = receiving.machine.writers
    assert given_up.is_aborted
    assert given_up.pieces_left == 2
    receiving.receive(*new[1:])
    assert given_up.pieces_left == 0
    assert receiving.machine.commands == [b"new"]


def test_a_commit_whose_outcome_is_unknown_stops_the_node() -> None:
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", index=9)), 9)
    receiving = Receiving()
    failure = DiskFailed("could not replace CURRENT")
    receiving.machine.write_errors.append(failure)
    receiving.receive(*chunks)
    assert receiving.checkpoints.failure is failure
    assert receiving.machine.commands == []


def test_a_commit_that_finds_the_disk_full_is_tried_again() -> None:
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", index=9)), 9)
    receiving = Receiving()
    receiving.machine.write_errors.append(DiskFull("no space"))
    receiving.receive(*chunks)
    assert receiving.posted == [SnapshotRejected(9, "no space")]
    assert receiving.checkpoints.failure is None
    receiving.receive(*chunks)
    assert receiving.posted[1:] == [SnapshotInstalled(9)]


def test_a_chunk_that_cannot_be_written_is_told_once_with_its_reason() -> None:
    """The core may let through the one after it in the same step, when a chunk was sent twice."""
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", b"b", index=9)), 9)
    receiving = Receiving()
    receiving.machine.chunk_errors.append(DiskFull("no space"))
    receiving.receive(*chunks)
    assert receiving.posted == [SnapshotRejected(9, "no space")]
    (writer,) = receiving.machine.writers
    assert writer.is_aborted
    assert writer.pieces_left == 0
    receiving.receive(*chunks)
    assert receiving.posted[1:] == [SnapshotInstalled(9)]
    assert receiving.machine.commands == [b"a", b"b"]


def test_a_new_stream_replaces_the_one_before() -> None:
    old = all_chunks(SnapshotSender(1, machine_with(b"old", index=8)), 8)
    new = all_chunks(SnapshotSender(1, machine_with(b"new", index=9)), 9)
    receiving = Receiving()
    receiving.receive(*old[:2], *new)
    assert receiving.machine.commands == [b"new"]
    assert receiving.posted == [SnapshotInstalled(9)]


def test_the_swap_waits_for_the_checkpoint_under_way() -> None:
    chunks = all_chunks(SnapshotSender(1, machine_with(b"a", index=9)), 9)
    receiving = Receiving()
    receiving.machine.apply([b"x"], 1, Position(1, 1, b"").encode())
    receiving.checkpoints.advance(INTERVAL_MS)
    receiving.receive(*chunks)
    assert receiving.posted == []
    while receiving.checkpoints.advance(INTERVAL_MS):
        pass
    receiving.background.run_jobs()
    assert receiving.posted == [SnapshotInstalled(9)]
